// A network's prediction: its 28x28 input, the predicted digit, a sentence, and ten bars that move in place.
// From Python: the pixels, the digit, the probabilities (null without a prediction) and texts. Sends nothing.
const views = new WeakMap();
const SIDE = 28;

function build() {
  const view = element("div", "readout");
  const top = element("div", "top");
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: SIDE, height: SIDE, role: "img" });
  figure.append(canvas);
  const prediction = element("div", "prediction");
  const message = element("div", "message");
  message.ariaLive = "polite";
  const spoken = element("div", "spoken");
  spoken.ariaLive = "polite";
  prediction.append(element("div", "digit"), message, spoken);
  top.append(figure, prediction);
  const bars = document.createElement("ol");
  bars.ariaLabel = "Probability of each digit";
  for (let digit = 0; digit < 10; digit += 1) {
    const row = document.createElement("li");
    const track = element("span", "track");
    track.ariaHidden = "true";
    track.append(element("div", "fill"));
    row.append(element("span", "label", digit), track, element("span", "value"));
    bars.append(row);
  }
  view.append(top, bars);
  return view;
}

function paint(canvas, pixels) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const [red, green, blue] = getComputedStyle(canvas).color.match(/[\d.]+/g).map(Number);
  for (let index = 0; index < SIDE * SIDE; index += 1) {
    image.data.set([red, green, blue, pixels ? pixels[index] : 0], 4 * index);
  }
  context.putImageData(image, 0, 0);
}

export default function ({ parentElement, data }) {
  const view = viewOf(views, parentElement, "readout", build);
  const { pixels, probabilities, digit, message, alt, bars, spoken } = data;
  const canvas = view.querySelector("canvas");
  canvas.setAttribute("aria-label", alt);
  paint(canvas, pixels);
  view.querySelector(".digit").textContent = digit ?? "";
  const text = view.querySelector(".message");
  if (text.textContent !== message) text.textContent = message; // a live region: set only when it changes
  const said = view.querySelector(".spoken");
  if (said.textContent !== spoken) said.textContent = spoken;
  view.querySelector("ol").hidden = !bars;
  view.querySelectorAll("li").forEach((row, index) => {
    const share = probabilities ? probabilities[index] : 0;
    row.classList.toggle("best", index === digit);
    row.querySelector(".fill").style.transform = `translateX(${100 * share - 100}%)`;
    row.querySelector(".value").textContent = probabilities ? `${(100 * share).toFixed(1)} %` : "–";
  });
}
