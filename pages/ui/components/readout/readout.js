// What one network makes of a drawing: its 28x28 input as pixels, its answer, and ten bars that move in place.
const views = new WeakMap();

function open(root) {
  root.querySelector(".readout")?.remove();
  const view = document.createElement("div");
  view.className = "readout";
  const rows = Array.from({ length: 10 }, (_, digit) =>
    `<li><span class="label">${digit}</span><span class="track" aria-hidden="true"><div class="fill"></div></span>` +
    `<span class="value"></span></li>`).join("");
  view.innerHTML = `
    <div class="top">
      <figure><canvas width="28" height="28" role="img"></canvas></figure>
      <div class="verdict"><div class="digit"></div><div class="said" aria-live="polite"></div></div>
    </div>
    <ol aria-label="Probability of each digit">${rows}</ol>`;
  root.appendChild(view);
  return view;
}

function ink(canvas, pixels) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  const [red, green, blue] = getComputedStyle(canvas).color.match(/[\d.]+/g).map(Number);
  for (let at = 0; at < 784; at += 1) {
    image.data.set([red, green, blue, pixels ? pixels[at] : 0], 4 * at);
  }
  context.putImageData(image, 0, 0);
}

export default function ({ parentElement, data }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = open(parentElement)));
  const { pixels, probabilities, digit, said, alt, bars } = data;
  const canvas = view.querySelector("canvas");
  canvas.setAttribute("aria-label", alt);
  ink(canvas, pixels);
  view.querySelector(".digit").textContent = digit ?? "";
  const words = view.querySelector(".said");
  if (words.textContent !== said) words.textContent = said;
  view.querySelector("ol").hidden = !bars;
  view.querySelectorAll("li").forEach((row, each) => {
    const share = probabilities ? probabilities[each] : 0;
    row.classList.toggle("best", each === digit);
    row.querySelector(".fill").style.transform = `translateX(${100 * share - 100}%)`;
    row.querySelector(".value").textContent = probabilities ? `${(100 * share).toFixed(1)} %` : "–";
  });
}
