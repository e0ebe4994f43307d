// Digits in a grid, as sharp pixels. All of them are on one sprite sheet, and each cell shows its part of it.
// From Python: the sheet, the cells (alt, label, note, mark), the layout and the selected cell.
// To Python: the trigger "picked", a cell's position.
const SIDE = 28;
const views = new WeakMap();

function buildCell({ label, note, alt, mark }, [left, top], { width, height, selectable }) {
  const cell = element("div", "cell");
  const tile = element("span", "tile");
  const pixels = element("span", "pixels");
  pixels.style.maskPosition = `${(100 * left) / (width - SIDE)}% ${(100 * top) / (height - SIDE)}%`;
  tile.append(pixels);
  if (mark) tile.append(element("span", "mark", "?"));
  cell.append(tile);
  cell.setAttribute("role", selectable ? "option" : "img");
  cell.setAttribute("aria-label", alt);
  if (label || note) {
    const words = element("span", "words");
    if (label) words.append(element("span", "label", label));
    if (note) words.append(element("span", "note", note));
    cell.append(words);
  }
  return cell;
}

// The grid is one stop of the Tab key; arrow keys move between its cells.
function onKey(view, event) {
  const cells = [...view.querySelectorAll("[role=option]")];
  const index = cells.indexOf(event.target.closest("[role=option]"));
  const columns = cells.findIndex((cell) => cell.offsetTop > cells[0].offsetTop);
  const down = columns < 0 ? cells.length : columns;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: down, ArrowUp: -down }[event.key];
  if (index < 0) return;
  if (event.key === "Enter" || event.key === " ") cells[index].click();
  else if (!step) return;
  event.preventDefault();
  if (step && cells[index + step]) cells[index + step].focus();
}

function columnTemplate({ columns: counts, headings }) {
  const first = headings ? "4.5rem " : "";
  return first + counts.map((count) => `repeat(${count}, minmax(0, var(--tile)))`).join(" 0.25rem ");
}

function fill(view, data) {
  const { sheet, width, height, places, cells, selectable, headings, columns: counts } = data;
  view.style.setProperty("--sheet", `url(${sheet})`);
  view.style.setProperty("--size", `${(100 * width) / SIDE}% ${(100 * height) / SIDE}%`);
  view.classList.toggle("across", Boolean(counts));
  view.classList.toggle("headed", Boolean(headings));
  view.classList.toggle("stacked", Boolean(data.stacked));
  view.setAttribute("role", selectable ? "listbox" : "group");
  view.setAttribute("aria-label", data.alt);
  const children = [];
  if (counts) view.style.setProperty("--columns", columnTemplate(data));
  view.style.setProperty("--tile", `${data.tile}rem`);
  const perRow = counts ? counts.reduce((sum, count) => sum + count) : 0;
  cells.forEach((cell, index) => {
    if (perRow && headings && index % perRow === 0) children.push(element("span", "heading", headings[index / perRow]));
    // An empty column separates the groups.
    let before = 0;
    for (const count of (counts ?? []).slice(0, -1)) {
      before += count;
      if (index % perRow === before) children.push(element("span", ""));
    }
    children.push(buildCell(cell, places[index], data));
  });
  view.replaceChildren(...children);
}

function build() {
  const view = element("div", "gallery");
  view.addEventListener("keydown", (event) => onKey(view, event));
  return view;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = viewOf(views, parentElement, "gallery", build);
  const { picked, ...rest } = data;
  const drawn = JSON.stringify(rest);
  if (view.drawn !== drawn) {
    const focused = view.getRootNode().activeElement?.ariaLabel;
    fill(view, data);
    view.drawn = drawn;
    if (focused) [...view.children].find((child) => child.ariaLabel === focused)?.focus();
  }
  if (!data.selectable) return;
  [...view.children].forEach((cell, index) => {
    cell.ariaSelected = String(index === picked);
    cell.tabIndex = index === Math.max(0, picked) ? 0 : -1;
    cell.onclick = () => setTriggerValue("picked", index);
  });
}
