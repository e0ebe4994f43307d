// One digit, large, with a line of text that names the pixel under the pointer or the keyboard's cursor.
// From Python: the image (also as 784 numbers), its description and its caption. Sends nothing.
const SIDE = 28;
const MEAN = 0.1307; // the normalisation of core.data: mean and deviation of the training pixels
const STD = 0.3081;
const views = new WeakMap();

function build() {
  const view = element("div", "closeup");
  const paper = element("div", "paper");
  Object.assign(paper, { tabIndex: 0, role: "img" });
  paper.append(element("div", "pixels"), element("div", "cursor"));
  const value = element("div", "value");
  value.ariaLive = "polite";
  view.append(paper, value);
  const clamp = (index) => Math.max(0, Math.min(SIDE - 1, index));
  paper.addEventListener("pointermove", (event) => {
    const box = paper.getBoundingClientRect();
    const indexOf = (position, start, size) => clamp(Math.floor((SIDE * (position - start)) / size));
    pointAt(view, [indexOf(event.clientX, box.left, box.width), indexOf(event.clientY, box.top, box.height)]);
  });
  paper.addEventListener("pointerleave", () => pointAt(view, null));
  paper.addEventListener("blur", () => pointAt(view, null));
  paper.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = view.pixel ?? [SIDE / 2, SIDE / 2];
    pointAt(view, from.map((index, axis) => clamp(index + step[axis])));
  });
  return view;
}

function pointAt(view, pixel) {
  view.pixel = pixel;
  const cursor = view.querySelector(".cursor");
  const text = view.querySelector(".value");
  cursor.style.visibility = pixel ? "visible" : "hidden";
  if (!pixel) {
    text.textContent = view.data.caption;
    return;
  }
  const [x, y] = pixel;
  cursor.style.left = `${(100 * x) / SIDE}%`;
  cursor.style.top = `${(100 * y) / SIDE}%`;
  const grey = view.data.pixels[SIDE * y + x];
  const scaled = ((grey / 255 - MEAN) / STD).toFixed(2).replace("-", "\u2212");
  text.textContent = `Row ${y + 1}, column ${x + 1}: ${grey} of 255, normalised ${scaled}.`;
}

export default function ({ parentElement, data }) {
  const view = viewOf(views, parentElement, "closeup", build);
  view.data = data;
  view.style.setProperty("--sheet", `url(${data.sheet})`);
  view.querySelector(".paper").setAttribute("aria-label", data.alt);
  pointAt(view, view.pixel ?? null);
}
