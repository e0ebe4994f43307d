// Maps of signed values as crisp pixels: all of a row lie on one picture, and each tile is a window onto its place
// there. A digit may lie below them in the page's ink, and a square may mark a place.
const views = new WeakMap();

function share(place, whole, part) {
  return whole === part ? 0 : (100 * place) / (whole - part);
}

function tile({ alt, label, note }, [left, top], row) {
  const { sheet, width, height, across, down, ink, box } = row;
  const made = element("div", "cell");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", alt);
  made.title = alt;
  const paper = element("span", "tile");
  paper.style.aspectRatio = `${across} / ${down}`;
  if (ink) {
    const below = element("span", "ink");
    below.style.maskImage = `url(${ink})`;
    paper.append(below);
  }
  const values = element("span", "values");
  values.style.backgroundImage = `url(${sheet})`;
  values.style.backgroundSize = `${(100 * width) / across}% ${(100 * height) / down}%`;
  values.style.backgroundPosition = `${share(left, width, across)}% ${share(top, height, down)}%`;
  paper.append(values);
  if (box) {
    const mark = element("span", "box");
    [mark.style.left, mark.style.top, mark.style.width, mark.style.height] = box.map((length) => `${length}%`);
    paper.append(mark);
  }
  made.append(paper);
  if (label) {
    const words = element("span", "words");
    words.append(element("span", "label", label));
    if (note) words.append(element("span", "note", note));
    made.append(words);
  }
  return made;
}

function line(row) {
  const made = element("section", row.cells.length ? "row" : "row wide");
  made.setAttribute("aria-label", row.title || row.alt);
  if (row.title) {
    const heading = element("div", "heading");
    heading.append(element("span", "title", row.title), element("span", "quiet", row.note));
    made.append(heading);
  }
  if (!row.cells.length) return made;
  const grid = element("div", "grid");
  grid.style.setProperty("--tile", `${row.tile}rem`);
  grid.style.setProperty("--abreast", Math.min(row.cells.length, row.cells[0].note ? 10 : 8));
  grid.append(...row.cells.map((cell, at) => tile(cell, row.places[at], row)));
  made.append(grid);
  return made;
}

export default function ({ parentElement, data }) {
  let view = views.get(parentElement);
  if (!view) {
    parentElement.querySelector(".maps")?.remove();
    view = element("div", "maps");
    parentElement.append(view);
    views.set(parentElement, view);
  }
  const drawn = JSON.stringify(data);
  if (view.drawn === drawn) return;
  view.drawn = drawn;
  view.replaceChildren(...data.rows.map(line));
}
