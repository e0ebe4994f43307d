// Rows of maps, one below the other.
// From Python: the rows, each with its sheet, texts, sizes, ink and box. Sends nothing.
const views = new WeakMap();

export default function ({ parentElement, data }) {
  const view = viewOf(views, parentElement, "maps");
  const drawn = JSON.stringify(data);
  if (view.drawn === drawn) return;
  view.drawn = drawn;
  view.replaceChildren(...data.rows.map(buildRow));
}
