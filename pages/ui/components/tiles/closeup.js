// One digit, large; the pixel under the mouse, the finger or the keyboard's cursor is read out.
const SIDE = 28;
const MEAN = 0.1307;
const STD = 0.3081;
const views = new WeakMap();

function open(root) {
  root.querySelector(".closeup")?.remove();
  const view = document.createElement("div");
  view.className = "closeup";
  view.innerHTML = `<div class="paper" tabindex="0" role="img"><div class="pixels"></div><div class="cursor"></div></div>
    <div class="value" aria-live="polite"></div>`;
  root.append(view);
  const paper = view.querySelector(".paper");
  const state = { view, paper, data: null, at: null };
  paper.addEventListener("pointermove", (event) => {
    const box = paper.getBoundingClientRect();
    const place = (value, low, size) => Math.max(0, Math.min(SIDE - 1, Math.floor((SIDE * (value - low)) / size)));
    point(state, [place(event.clientX, box.left, box.width), place(event.clientY, box.top, box.height)]);
  });
  paper.addEventListener("pointerleave", () => point(state, null));
  paper.addEventListener("blur", () => point(state, null));
  paper.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = state.at ?? [SIDE / 2, SIDE / 2];
    point(state, from.map((value, axis) => Math.max(0, Math.min(SIDE - 1, value + step[axis]))));
  });
  return state;
}

function point(state, at) {
  state.at = at;
  const cursor = state.view.querySelector(".cursor");
  const words = state.view.querySelector(".value");
  cursor.style.visibility = at ? "visible" : "hidden";
  if (!at) {
    words.textContent = state.data.said;
    return;
  }
  const [x, y] = at;
  cursor.style.left = `${(100 * x) / SIDE}%`;
  cursor.style.top = `${(100 * y) / SIDE}%`;
  const grey = state.data.pixels[SIDE * y + x];
  const scaled = ((grey / 255 - MEAN) / STD).toFixed(2).replace("-", "\u2212");
  words.textContent = `Row ${y + 1}, column ${x + 1}: ${grey} of 255. The network is given ${scaled}.`;
}

export default function ({ parentElement, data }) {
  let state = views.get(parentElement);
  if (!state) views.set(parentElement, (state = open(parentElement)));
  state.data = data;
  state.view.style.setProperty("--sheet", `url(${data.sheet})`);
  state.paper.setAttribute("aria-label", data.alt);
  point(state, state.at);
}
