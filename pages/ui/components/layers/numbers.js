// Numbers as text and as colours: blue above zero, orange below.
const ABOVE = [0x5a, 0x78, 0xee];
const BELOW = [0xd9, 0x7a, 0x36];
const DARKEST = 58; // percent of the colour behind a number, so that the number can be read

function formatNumber(text) {
  return (/^-0\.?0*$/.test(text) ? text.slice(1) : text).replace("-", "\u2212");
}

// At most two decimals, for a small cell.
function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return formatNumber(value.toFixed(size >= 99.5 ? 0 : size >= 9.95 ? 1 : 2));
}

// Four decimals, or two digits that count.
function long(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e7) return formatNumber(value.toExponential(2));
  if (size >= 0.01) return formatNumber(value.toFixed(size >= 1000 ? 1 : 4));
  return formatNumber(String(Number(value.toPrecision(2))));
}

function percent(share) {
  return `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 2 : 1)}\u00a0%`;
}

// Words with their number: `1 value`, `9 values`.
function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function shade(made, value, scale) {
  made.classList.add(value < 0 ? "below" : "above");
  made.style.setProperty("--shade", `${DARKEST * Math.min(1, Math.abs(value) / (scale || 1))}%`);
}

// A small picture without numbers.
function paint(values, width, scale) {
  const canvas = element("canvas", "small");
  canvas.width = width;
  canvas.height = values.length / width;
  const image = new ImageData(canvas.width, canvas.height);
  values.forEach((value, index) => {
    const opacity = Math.min(1, Math.abs(value) / (scale || 1));
    image.data.set([...(value < 0 ? BELOW : ABOVE), 255 * opacity], 4 * index);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function largest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

// One stop of the Tab key; arrow keys move between the buttons.
function rove(container, columns, start) {
  const buttons = [...container.querySelectorAll("button")];
  const enter = (at) => buttons.forEach((button, index) => (button.tabIndex = index === at ? 0 : -1));
  enter(Math.max(0, start));
  container.addEventListener("keydown", (event) => {
    const from = buttons.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (from < 0 || !step) return;
    event.preventDefault();
    event.stopPropagation();
    const isSameLine = Math.floor(from / columns) === Math.floor((from + step) / columns);
    const target = buttons[from + step];
    if (!target || (Math.abs(step) === 1 && columns > 1 && !isSameLine)) return;
    enter(from + step);
    target.focus();
  });
}
