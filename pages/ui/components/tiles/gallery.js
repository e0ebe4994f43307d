// Digits as crisp pixels: all of them lie on one picture, and each cell is a window onto its place there.
const SIDE = 28;
const views = new WeakMap();

function cell({ label, note, alt, mark }, [left, top], { width, height, pick }) {
  const made = element("div", "cell");
  const tile = element("span", "tile");
  const pixels = element("span", "pixels");
  pixels.style.maskPosition = `${(100 * left) / (width - SIDE)}% ${(100 * top) / (height - SIDE)}%`;
  tile.append(pixels);
  if (mark) tile.append(element("span", "mark", "?"));
  made.append(tile);
  made.setAttribute("role", pick ? "option" : "img");
  made.setAttribute("aria-label", alt);
  if (label || note) {
    const words = element("span", "words");
    if (label) words.append(element("span", "label", label));
    if (note) words.append(element("span", "note", note));
    made.append(words);
  }
  return made;
}

// One stop for the Tab key; the arrows go from digit to digit.
function walk(view, event) {
  const cells = [...view.querySelectorAll("[role=option]")];
  const at = cells.indexOf(event.target.closest("[role=option]"));
  const across = cells.findIndex((each) => each.offsetTop > cells[0].offsetTop);
  const down = across < 0 ? cells.length : across;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: down, ArrowUp: -down }[event.key];
  if (at < 0) return;
  if (event.key === "Enter" || event.key === " ") cells[at].click();
  else if (!step) return;
  event.preventDefault();
  if (step && cells[at + step]) cells[at + step].focus();
}

function columns({ columns: counts, headings }) {
  const heads = headings ? "4.5rem " : "";
  return heads + counts.map((count) => `repeat(${count}, minmax(0, var(--tile)))`).join(" 0.25rem ");
}

function build(view, data) {
  const { sheet, width, height, places, cells, pick, headings, columns: counts } = data;
  view.style.setProperty("--sheet", `url(${sheet})`);
  view.style.setProperty("--size", `${(100 * width) / SIDE}% ${(100 * height) / SIDE}%`);
  view.classList.toggle("across", Boolean(counts));
  view.classList.toggle("headed", Boolean(headings));
  view.classList.toggle("stacked", Boolean(data.stacked));
  view.setAttribute("role", pick ? "listbox" : "group");
  view.setAttribute("aria-label", data.alt);
  const children = [];
  if (counts) view.style.setProperty("--columns", columns(data));
  view.style.setProperty("--tile", `${data.tile}rem`);
  const total = counts ? counts.reduce((sum, count) => sum + count) : 0;
  cells.forEach((each, at) => {
    if (total && headings && at % total === 0) children.push(element("span", "heading", headings[at / total]));
    // An empty column stands between the groups.
    let before = 0;
    for (const count of (counts ?? []).slice(0, -1)) {
      before += count;
      if (at % total === before) children.push(element("span", ""));
    }
    children.push(cell(each, places[at], data));
  });
  view.replaceChildren(...children);
}

export default function ({ parentElement, data, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) {
    parentElement.querySelector(".gallery")?.remove();
    view = element("div", "gallery");
    parentElement.append(view);
    views.set(parentElement, view);
    view.addEventListener("keydown", (event) => walk(view, event));
  }
  const { picked, ...rest } = data;
  const drawn = JSON.stringify(rest);
  if (view.drawn !== drawn) {
    const focused = view.getRootNode().activeElement?.ariaLabel;
    build(view, data);
    view.drawn = drawn;
    if (focused) [...view.children].find((each) => each.ariaLabel === focused)?.focus();
  }
  if (!data.pick) return;
  [...view.children].forEach((each, at) => {
    each.ariaSelected = String(at === picked);
    each.tabIndex = at === Math.max(0, picked) ? 0 : -1;
    each.onclick = () => setTriggerValue("picked", at);
  });
}
