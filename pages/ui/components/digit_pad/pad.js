// The drawing pad.
// From Python: the strokes, their version, the number of the last state it has acknowledged, and texts.
// To Python: the state "drawing" with the strokes, its number, the version, and whether a stroke is in progress.
// The next state is sent only after the last one was acknowledged, so a slow server is never interrupted.
// Points are fractions of the pad's width and height.
const pads = new WeakMap();
const INTERVAL = 80; // ms between two states while a stroke is drawn
const TIMEOUT = 1500; // ms after which a state that was not acknowledged is given up
const LINE_WIDTH = 0.068; // fraction of the pad's height
const MIN_DISTANCE = 0.004; // between two points of a stroke

function openPad(root) {
  const canvas = root.querySelector("canvas");
  const pad = {
    root, canvas, strokes: [], current: null, pointer: null,
    sent: 0, acknowledged: 0, sentAt: 0, dirty: false, timer: null, version: null, setState: null,
  };
  canvas.addEventListener("pointerdown", (event) => beginStroke(pad, event));
  canvas.addEventListener("pointermove", (event) => extendStroke(pad, event));
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => endStroke(pad, event));
  }
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

function beginStroke(pad, event) {
  if (pad.pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
  event.preventDefault();
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
  pad.strokes.pop();
  onChange(pad);
}

function clear(pad) {
  if (!pad.strokes.length) return;
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
  pad.setState("drawing", { strokes, number: pad.sent, version: pad.version, busy: pad.pointer !== null });
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
  context.lineWidth = LINE_WIDTH * height;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of pad.strokes) {
    context.beginPath();
    const [first, ...rest] = stroke.map(([x, y]) => [x * width, y * height]);
    context.moveTo(...first);
    // Curves through the midpoints, so that a fast stroke is still smooth.
    rest.forEach(([x, y], index) => {
      const [nextX, nextY] = rest[index + 1] ?? [x, y];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    });
    if (!rest.length) context.lineTo(first[0] + 0.01, first[1]);
    context.stroke();
  }
  root.querySelector(".paper").classList.toggle("inked", pad.strokes.length > 0);
  for (const button of root.querySelectorAll("button")) button.disabled = !pad.strokes.length;
}

// Returns no clean-up function: Streamlit calls it for an outdated render too, while the pad is still in use.
export default function ({ parentElement, data, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) pads.set(parentElement, (pad = openPad(parentElement)));
  pad.setState = setStateValue;
  pad.root.querySelector(".pad").classList.toggle("wide", data.aspect > 1);
  pad.root.querySelector(".paper").style.aspectRatio = data.aspect;
  pad.root.querySelector(".hint").textContent = data.hint;
  pad.canvas.setAttribute("aria-label", data.label);
  if (data.version !== pad.version) { // after a change of page, or a drawing that another page has sent
    pad.version = data.version;
    pad.strokes = data.strokes.map((stroke) => stroke.slice());
    pad.pointer = pad.current = null;
    pad.dirty = false;
    pad.sent = pad.acknowledged = data.acknowledged;
  }
  pad.acknowledged = Math.max(pad.acknowledged, data.acknowledged);
  paint(pad);
  sendState(pad);
}
