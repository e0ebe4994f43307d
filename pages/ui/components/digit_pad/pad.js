// The drawing pad.
// From Python: the strokes, their version, the number of the last state it has acknowledged, the width of the line that
// the network receives, and texts.
// To Python: the state "drawing" with the strokes, its number, the version, and whether a stroke is in progress.
// The next state is sent only after the last one was acknowledged, so a slow server is never interrupted.
// Points are fractions of the pad's width and height.
const pads = new WeakMap();
const INTERVAL = 80; // ms between two states while a stroke is drawn
const TIMEOUT = 1500; // ms after which a state that was not acknowledged is given up
const MIN_DISTANCE = 0.004; // between two points of a stroke
const STEP = 0.05; // of the keyboard's pen, as a fraction of the pad's height; with Shift a quarter of it
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function openPad(root) {
  const canvas = root.querySelector("canvas");
  const pad = {
    root, canvas, strokes: [], current: null, pointer: null,
    sent: 0, acknowledged: 0, sentAt: 0, dirty: false, timer: null, version: null, setState: null,
    pen: null, line: null, aspect: 1,
  };
  canvas.addEventListener("pointerdown", (event) => beginStroke(pad, event));
  canvas.addEventListener("pointermove", (event) => extendStroke(pad, event));
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => endStroke(pad, event));
  }
  canvas.addEventListener("keydown", (event) => onPenKey(pad, event));
  canvas.addEventListener("blur", () => lowerPen(pad, false));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  root.querySelector(".undo").addEventListener("click", () => undo(pad));
  root.querySelector(".clear").addEventListener("click", () => clear(pad));
  root.querySelector(".pad").addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(pad); }
    if (event.key === "Escape") clear(pad);
  });
  new ResizeObserver(() => paint(pad)).observe(canvas);
  return pad;
}

function pointOf(pad, event) {
  const box = pad.canvas.getBoundingClientRect();
  const fraction = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
  return [fraction((event.clientX - box.left) / box.width), fraction((event.clientY - box.top) / box.height)];
}

// The keyboard's pen: arrow keys move it, the space bar lowers and lifts it.
function onPenKey(pad, event) {
  const direction = DIRECTIONS[event.key];
  if ((!direction && event.key !== " ") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (pad.pointer !== null) return;
  pad.pen ??= { at: [0.5, 0.5], down: false };
  if (!direction) return lowerPen(pad, !pad.pen.down);
  const step = event.shiftKey ? STEP / 4 : STEP;
  const fraction = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
  const [x, y] = pad.pen.at;
  pad.pen.at = [fraction(x + (direction[0] * step) / pad.aspect), fraction(y + direction[1] * step)];
  if (!pad.pen.down) return paint(pad);
  pad.current.push(pad.pen.at);
  onChange(pad);
}

function lowerPen(pad, down) {
  if (!pad.pen || pad.pen.down === down) return;
  pad.pen.down = down;
  pad.current = down ? [pad.pen.at] : null;
  if (down) pad.strokes.push(pad.current);
  pad.root.querySelector(".status").textContent = down ? "Pen down" : "Pen up";
  onChange(pad);
}

function beginStroke(pad, event) {
  if (pad.pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
  event.preventDefault();
  lowerPen(pad, false);
  pad.pen = null;
  pad.canvas.focus({ preventScroll: true });
  pad.canvas.setPointerCapture(event.pointerId);
  pad.pointer = event.pointerId;
  pad.current = [pointOf(pad, event)];
  pad.strokes.push(pad.current);
  onChange(pad);
}

function extendStroke(pad, event) {
  if (event.pointerId !== pad.pointer) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const moved of events.length ? events : [event]) {
    const [x, y] = pointOf(pad, moved);
    const [lastX, lastY] = pad.current[pad.current.length - 1];
    if (Math.hypot(x - lastX, y - lastY) >= MIN_DISTANCE) pad.current.push([x, y]);
  }
  onChange(pad);
}

function endStroke(pad, event) {
  if (event.pointerId !== pad.pointer) return;
  pad.pointer = pad.current = null;
  onChange(pad);
}

function undo(pad) {
  if (pad.pointer !== null || !pad.strokes.length) return;
  lowerPen(pad, false);
  pad.strokes.pop();
  onChange(pad);
}

function clear(pad) {
  if (!pad.strokes.length) return;
  lowerPen(pad, false);
  pad.pointer = pad.current = null;
  pad.strokes = [];
  onChange(pad);
}

function onChange(pad) {
  pad.dirty = true;
  paint(pad);
  sendState(pad);
}

function sendState(pad) {
  if (!pad.dirty || pad.timer !== null) return;
  const waited = performance.now() - pad.sentAt;
  const busy = pad.acknowledged < pad.sent && waited < TIMEOUT;
  if (waited < INTERVAL || busy) {
    const delay = busy ? INTERVAL / 2 : INTERVAL - waited;
    pad.timer = setTimeout(() => { pad.timer = null; sendState(pad); }, delay);
    return;
  }
  pad.dirty = false;
  pad.sent += 1;
  pad.sentAt = performance.now();
  const strokes = pad.strokes.map((stroke) => stroke.slice());
  pad.setState("drawing", { strokes, number: pad.sent, version: pad.version, busy: pad.pointer !== null || Boolean(pad.pen?.down) });
}

// The strokes of each digit. Those of a number belong to one digit where they are above each other, which is about how
// `core.drawing.segmentation` separates them.
function digitsOf(pad) {
  if (pad.aspect === 1) return [pad.strokes];
  const digits = [];
  const spans = pad.strokes.map((stroke) => {
    const across = stroke.map(([x]) => x);
    return { strokes: [stroke], left: Math.min(...across), right: Math.max(...across) };
  });
  for (const span of spans.sort((one, other) => one.left - other.left)) {
    const last = digits.at(-1);
    if (!last || span.left > last.right) digits.push(span);
    else {
      last.strokes.push(...span.strokes);
      last.right = Math.max(last.right, span.right);
    }
  }
  return digits.map(({ strokes }) => strokes);
}

// The width of a digit's line as a fraction of the pad's height, as in `core.drawing.strokes`.
function widthOf(pad, strokes) {
  const points = strokes.flat();
  const extents = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return (Math.max(...values) - Math.min(...values)) * (axis ? 1 : pad.aspect);
  });
  return pad.line.width * Math.max(pad.line.extent, ...extents);
}

function paint(pad) {
  const { canvas, root } = pad;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((length) => Math.round(length * ratio));
  if (!width || !height) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  context.lineCap = context.lineJoin = "round";
  for (const strokes of pad.strokes.length ? digitsOf(pad) : []) {
    context.lineWidth = widthOf(pad, strokes) * height;
    for (const stroke of strokes) {
      context.beginPath();
      const [first, ...rest] = stroke.map(([x, y]) => [x * width, y * height]);
      context.moveTo(...first);
      for (const point of rest) context.lineTo(...point);
      if (!rest.length) context.lineTo(first[0] + 0.01, first[1]);
      context.stroke();
    }
  }
  const pen = root.querySelector(".pen");
  pen.hidden = !pad.pen;
  if (pad.pen) {
    pen.classList.toggle("down", pad.pen.down);
    [pen.style.left, pen.style.top] = pad.pen.at.map((share) => `${100 * share}%`);
  }
  root.querySelector(".paper").classList.toggle("inked", pad.strokes.length > 0);
  for (const button of root.querySelectorAll("button")) button.disabled = !pad.strokes.length;
}

// Returns no clean-up function: Streamlit calls it for an outdated render too, while the pad is still in use.
export default function ({ parentElement, data, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) pads.set(parentElement, (pad = openPad(parentElement)));
  pad.setState = setStateValue;
  [pad.line, pad.aspect] = [data.line, data.aspect];
  pad.root.querySelector(".pad").classList.toggle("wide", data.aspect > 1);
  pad.root.querySelector(".paper").style.aspectRatio = data.aspect;
  pad.root.querySelector(".hint").textContent = data.hint;
  pad.canvas.setAttribute("aria-label", data.label);
  if (data.version !== pad.version) { // after a change of page, or a drawing that another page has sent
    pad.version = data.version;
    pad.strokes = data.strokes.map((stroke) => stroke.slice());
    pad.pointer = pad.current = pad.pen = null;
    pad.dirty = false;
    pad.sent = pad.acknowledged = data.acknowledged;
  }
  pad.acknowledged = Math.max(pad.acknowledged, data.acknowledged);
  paint(pad);
  sendState(pad);
}
