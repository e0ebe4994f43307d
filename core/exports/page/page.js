
// The page: a drawing goes through `prepare` and `runNetwork`, and all results are shown at the next frame.
const MAX_MAPS = 64; // shown of one row
const GAIN = 255; // opacity of a map's largest value
// Width of a map, and how many stand side by side at least.
const TILES = { logit: ["2.75rem", 10], value: ["1.75rem", 8], small: ["3rem", 8], large: ["5.25rem", 4] };
const FEW_PIXELS = 14; // maximum width of a small map
const ABOVE = [90, 120, 238];
const BELOW = [217, 122, 54];
const CLOSE = 0.1; // a second digit of at least this probability is mentioned
const TIMES = 200; // predictions whose times are kept

function byId(id) {
  return document.getElementById(id);
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

// Draw pixels; `colours` gives the red, green and blue of a pixel by its index, `opacities` has 0 to 255 for each.
function paintPixels(canvas, colours, opacities) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  opacities.forEach((opacity, index) => image.data.set([...colours(index), opacity], 4 * index));
  context.putImageData(image, 0, 0);
}

function showPicture(pixels) {
  const canvas = byId("picture");
  const ink = getComputedStyle(canvas).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  paintPixels(canvas, () => ink, pixels);
  canvas.setAttribute("aria-label", `The network's input, 28 by 28 pixels${pixels.some(Boolean) ? "" : ": empty"}`);
}

function buildBars() {
  for (let digit = 0; digit < 10; digit += 1) {
    const bar = element("li");
    const track = element("span", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(element("div", "fill"));
    bar.append(element("span", "label", digit), track, element("span", "value", "–"));
    byId("bars").append(bar);
  }
}

function showProbabilities(probabilities) {
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : null;
  byId("digit").textContent = best ?? "";
  Array.from(byId("bars").children).forEach((bar, digit) => {
    const share = probabilities ? probabilities[digit] : 0;
    bar.classList.toggle("best", digit === best);
    bar.querySelector(".fill").style.setProperty("--share", share);
    bar.querySelector(".value").textContent = probabilities ? percent(share) : "–";
  });
}

function describe(probabilities) {
  const [first, second] = Array.from(probabilities.keys()).sort((one, other) => probabilities[other] - probabilities[one]);
  if (probabilities[second] < CLOSE) return `Probability ${percent(probabilities[first])}`;
  return `${first} or ${second}, with probabilities ${percent(probabilities[first])} and ${percent(probabilities[second])}`;
}

// The feature maps: one line for each row of the network.
class Maps {
  constructor(layers) {
    // Dropout drops values in training only: its output is its input.
    this.rows = layers.map((layer, index) => ({ layer, index })).filter(({ layer }) => layer.row.kind !== "dropout")
      .map(({ layer, index }) => this.buildRow(layer, index, index === layers.length - 1));
    byId("without-dropout").hidden = this.rows.length === layers.length;
    this.outputs = null;
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const row = this.rows.find(({ view }) => view === target);
        row.isVisible = isIntersecting;
        if (isIntersecting) this.paintRow(row);
      }
    });
    this.rows.forEach(({ view }) => watcher.observe(view));
  }

  buildRow({ title, output }, index, isLast) {
    const [channels, height, width] = [...output, 1, 1];
    const view = element("div", "row");
    const heading = element("h3", "", title);
    const shown = Math.min(channels, MAX_MAPS);
    const shape = output.join(" × ") + (shown < channels ? `, the first ${shown} channels` : "");
    heading.append(element("span", "", isLast ? "logits of the ten digits" : shape));
    const [tile, columns] = isLast ? TILES.logit : width === 1 ? TILES.value : width <= FEW_PIXELS ? TILES.small : TILES.large;
    const maps = element("div", "maps");
    maps.setAttribute("role", "img");
    const canvases = Array.from({ length: shown }, (_, channel) => {
      const cell = element("div", "map");
      cell.style.setProperty("--tile", tile);
      cell.style.setProperty("--columns", columns);
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [width, height];
      cell.append(canvas, ...(isLast ? [element("span", "", channel)] : []));
      maps.append(cell);
      return canvas;
    });
    maps.setAttribute("aria-label", `${title}: ${isLast ? "the logits of the ten digits" : `the outputs of ${shown} channels`}`);
    view.append(heading, maps);
    view.classList.toggle("wide", shown > 2 * columns);
    byId("rows").append(view);
    return { view, canvases, size: height * width, index, isVisible: false };
  }

  show(outputs) {
    this.outputs = outputs;
    this.rows.filter((row) => row.isVisible).forEach((row) => this.paintRow(row));
  }

  paintRow({ canvases, size, index }) {
    if (!this.outputs) return canvases.forEach((canvas) => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height));
    const values = this.outputs[index];
    const most = values.reduce((best, value) => Math.max(best, Math.abs(value)), 0) || 1;
    canvases.forEach((canvas, channel) => {
      const map = values.subarray(channel * size, (channel + 1) * size);
      paintPixels(canvas, (place) => (map[place] > 0 ? ABOVE : BELOW), map.map((value) => (GAIN * Math.abs(value)) / most));
    });
  }
}

function start() {
  const page = JSON.parse(byId("network").textContent);
  const network = openNetwork(page);
  const prepareStrokes = (strokes) => prepare(strokes, page.drawing);
  const maps = new Maps(network.layers);
  const times = [];
  let pending = null; // the drawing that the next frame will show

  function show(strokes, isSettled) {
    const began = performance.now();
    const pixels = prepareStrokes(strokes);
    const isEmpty = !pixels.some(Boolean);
    const { outputs, probabilities } = isEmpty ? { outputs: null, probabilities: null } : runNetwork(network, pixels);
    if (!isEmpty) times.push(performance.now() - began);
    if (times.length > TIMES) times.shift();
    showPicture(pixels);
    showProbabilities(probabilities);
    byId("message").textContent = isEmpty ? HINT : describe(probabilities);
    maps.show(outputs);
    if (!isSettled) return;
    byId("spoken").textContent = isEmpty ? "The pad is empty" : `${byId("digit").textContent}. ${describe(probabilities)}`;
    if (times.length) {
      const median = times.slice().sort((one, other) => one - other)[times.length >> 1];
      byId("time").textContent = `${median < 1 ? "less than 1" : median.toFixed(0)}\u00a0ms in this browser`;
    }
  }

  const HINT = byId("message").textContent;
  buildBars();
  const controls = {
    canvas: byId("pad"), pen: document.querySelector(".pen"), status: byId("pen-state"),
    buttons: { undo: byId("undo"), clear: byId("clear") },
  };
  const pad = new Pad(controls, page.drawing, (strokes, isSettled) => {
    if (!pending) requestAnimationFrame(() => { const drawn = pending; pending = null; show(...drawn); });
    pending = [strokes, isSettled];
  });
  showPicture(prepareStrokes([]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { pad.paint(); show(pad.strokes, false); });
  // For other scripts: `prepare` turns strokes into 784 grey values from 0 to 255, `predict` those into ten probabilities.
  window.inkling = { prepare: prepareStrokes, predict: (pixels) => runNetwork(network, pixels).probabilities };
}

try {
  start();
} catch (error) {
  byId("failure").textContent = `This browser cannot run the page (${error.message}). A newer one can.`;
  byId("failure").hidden = false;
}
