
// The drawing pad: pointer, keyboard, undo and clear. It calls `onChange(strokes, isSettled)`; `isSettled` is false while a
// stroke is being drawn.
const MIN_DISTANCE = 0.004; // between two points of a stroke, as a fraction of the pad's side
const STEP = 0.05; // of the keyboard's pen, as a fraction of the pad's side; with Shift a quarter of it
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function toFraction(value) {
  return Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
}

class Pad {
  constructor({ canvas, pen, status, buttons }, settings, onChange) {
    Object.assign(this, { canvas, pen, status, buttons, settings, onChange });
    this.strokes = [];
    this.stroke = null; // the one that is being drawn
    this.pointer = null;
    this.keyboardPen = null; // { at: [x, y], down }
    canvas.addEventListener("pointerdown", (event) => this.beginStroke(event));
    canvas.addEventListener("pointermove", (event) => this.extendStroke(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, (event) => this.endStroke(event));
    }
    canvas.addEventListener("keydown", (event) => this.movePen(event));
    canvas.addEventListener("blur", () => {
      this.lowerPen(false);
      canvas.parentElement.classList.remove("pointed");
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    buttons.undo.addEventListener("click", () => this.undo());
    buttons.clear.addEventListener("click", () => this.clear());
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.undo();
      }
      if (event.key === "Escape") this.clear();
    });
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [toFraction((event.clientX - box.left) / box.width), toFraction((event.clientY - box.top) / box.height)];
  }

  beginStroke(event) {
    if (this.pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
    event.preventDefault();
    this.lowerPen(false);
    this.keyboardPen = null;
    this.canvas.parentElement.classList.add("pointed"); // hides the focus outline, which is for the keyboard
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.stroke = [this.pointOf(event)];
    this.strokes.push(this.stroke);
    this.change();
  }

  extendStroke(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const moved of events.length ? events : [event]) {
      const [x, y] = this.pointOf(moved);
      const [lastX, lastY] = this.stroke[this.stroke.length - 1];
      if (Math.hypot(x - lastX, y - lastY) >= MIN_DISTANCE) this.stroke.push([x, y]);
    }
    this.change();
  }

  endStroke(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = this.stroke = null;
    this.change();
  }

  // The keyboard's pen: arrow keys move it, the space bar lowers and lifts it.
  movePen(event) {
    const direction = DIRECTIONS[event.key];
    if ((!direction && event.key !== " ") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (this.pointer !== null) return;
    this.canvas.parentElement.classList.remove("pointed");
    this.keyboardPen ??= { at: [0.5, 0.5], down: false };
    if (!direction) return this.lowerPen(!this.keyboardPen.down);
    const step = event.shiftKey ? STEP / 4 : STEP;
    this.keyboardPen.at = this.keyboardPen.at.map((value, axis) => toFraction(value + direction[axis] * step));
    if (!this.keyboardPen.down) return this.paint();
    this.stroke.push(this.keyboardPen.at);
    this.change();
  }

  lowerPen(down) {
    if (!this.keyboardPen || this.keyboardPen.down === down) return;
    this.keyboardPen.down = down;
    this.stroke = down ? [this.keyboardPen.at] : null;
    if (down) this.strokes.push(this.stroke);
    this.status.textContent = down ? "Pen down" : "Pen up";
    this.change();
  }

  undo() {
    if (this.pointer !== null || !this.strokes.length) return;
    this.lowerPen(false);
    this.strokes.pop();
    this.change();
  }

  clear() {
    if (this.pointer !== null || !this.strokes.length) return;
    this.lowerPen(false);
    this.strokes = [];
    this.change();
  }

  change() {
    this.paint();
    this.onChange(this.strokes, this.stroke === null);
  }

  // The line is as wide as the one that the network receives.
  paint() {
    const { canvas, strokes, settings } = this;
    const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = settings.width * spanOf(strokes, settings.extent) * side;
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], index) => (index ? context.lineTo(x * side, y * side) : context.moveTo(x * side, y * side)));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * side + 0.01, stroke[0][1] * side);
      context.stroke();
    }
    this.pen.hidden = !this.keyboardPen;
    if (this.keyboardPen) {
      this.pen.classList.toggle("down", this.keyboardPen.down);
      [this.pen.style.left, this.pen.style.top] = this.keyboardPen.at.map((share) => `${100 * share}%`);
    }
    canvas.parentElement.classList.toggle("inked", strokes.length > 0);
    for (const button of Object.values(this.buttons)) button.disabled = !strokes.length;
  }
}
