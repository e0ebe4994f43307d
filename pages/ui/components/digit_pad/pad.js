// The pad keeps the strokes; Python gets them as state and answers with the number of the state it has shown.
// A new state is sent only when the last one was answered: a slow server is then never interrupted at work. Points are
// shares of the pad's width and height.
const pads = new WeakMap();
const PACE = 80; // ms between two states while a stroke is drawn
const PATIENCE = 1500; // ms after which an unanswered state is given up
const WIDTH = 0.068; // of a line, as a share of the pad's height

function openPad(root) {
  const canvas = root.querySelector("canvas");
  const pad = {
    root, canvas, strokes: [], current: null, pointer: null,
    sent: 0, answered: 0, sentAt: 0, dirty: false, timer: null, version: null, send: null,
  };
  canvas.addEventListener("pointerdown", (event) => begin(pad, event));
  canvas.addEventListener("pointermove", (event) => move(pad, event));
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => end(pad, event));
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

function point(pad, event) {
  const box = pad.canvas.getBoundingClientRect();
  const share = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
}

function begin(pad, event) {
  if (pad.pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
  event.preventDefault();
  pad.canvas.focus({ preventScroll: true });
  pad.canvas.setPointerCapture(event.pointerId);
  pad.pointer = event.pointerId;
  pad.current = [point(pad, event)];
  pad.strokes.push(pad.current);
  changed(pad);
}

function move(pad, event) {
  if (event.pointerId !== pad.pointer) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const each of events.length ? events : [event]) {
    const [x, y] = point(pad, each);
    const [lastX, lastY] = pad.current[pad.current.length - 1];
    if (Math.hypot(x - lastX, y - lastY) >= 0.004) pad.current.push([x, y]);
  }
  changed(pad);
}

function end(pad, event) {
  if (event.pointerId !== pad.pointer) return;
  pad.pointer = pad.current = null;
  changed(pad);
}

function undo(pad) {
  if (pad.pointer !== null || !pad.strokes.length) return;
  pad.strokes.pop();
  changed(pad);
}

function clear(pad) {
  if (!pad.strokes.length) return;
  pad.pointer = pad.current = null;
  pad.strokes = [];
  changed(pad);
}

function changed(pad) {
  pad.dirty = true;
  paint(pad);
  flush(pad);
}

function flush(pad) {
  if (!pad.dirty || pad.timer !== null) return;
  const waited = performance.now() - pad.sentAt;
  const busy = pad.answered < pad.sent && waited < PATIENCE;
  if (waited < PACE || busy) {
    pad.timer = setTimeout(() => { pad.timer = null; flush(pad); }, busy ? PACE / 2 : PACE - waited);
    return;
  }
  pad.dirty = false;
  pad.sent += 1;
  pad.sentAt = performance.now();
  const strokes = pad.strokes.map((stroke) => stroke.slice());
  pad.send("drawing", { strokes, number: pad.sent, version: pad.version, busy: pad.pointer !== null });
}

function paint(pad) {
  const { canvas, root } = pad;
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [canvas.clientWidth, canvas.clientHeight].map((length) => Math.round(length * ratio));
  if (!wide || !tall) return;
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== tall) canvas.height = tall;
  const ink = canvas.getContext("2d");
  ink.clearRect(0, 0, wide, tall);
  ink.strokeStyle = ink.fillStyle = getComputedStyle(canvas).color;
  ink.lineWidth = WIDTH * tall;
  ink.lineCap = ink.lineJoin = "round";
  for (const stroke of pad.strokes) {
    ink.beginPath();
    const [first, ...rest] = stroke.map(([x, y]) => [x * wide, y * tall]);
    ink.moveTo(...first);
    // Through the middles between points, so that a fast hand still draws curves.
    rest.forEach(([x, y], at) => {
      const [nextX, nextY] = rest[at + 1] ?? [x, y];
      ink.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    });
    if (!rest.length) ink.lineTo(first[0] + 0.01, first[1]);
    ink.stroke();
  }
  root.querySelector(".paper").classList.toggle("inked", pad.strokes.length > 0);
  for (const button of root.querySelectorAll("button")) button.disabled = !pad.strokes.length;
}

// No clean-up is returned: Streamlit calls it for an outdated render too, while the pad is still in use.
export default function ({ parentElement, data, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) pads.set(parentElement, (pad = openPad(parentElement)));
  pad.send = setStateValue;
  pad.root.querySelector(".pad").classList.toggle("wide", data.aspect > 1);
  pad.root.querySelector(".paper").style.aspectRatio = data.aspect;
  pad.root.querySelector(".hint").textContent = data.hint;
  pad.canvas.setAttribute("aria-label", data.label);
  if (data.version !== pad.version) { // a drawing from elsewhere: the page was left, or another page sent one
    pad.version = data.version;
    pad.strokes = data.strokes.map((stroke) => stroke.slice());
    pad.pointer = pad.current = null;
    pad.dirty = false;
    pad.sent = pad.answered = data.answered;
  }
  pad.answered = Math.max(pad.answered, data.answered);
  paint(pad);
  flush(pad);
}
