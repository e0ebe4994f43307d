// The keyboard's focus, where Streamlit leads it past something or loses it.
const CHECK = 150; // ms between two looks at whether the focus was lost
const PATIENCE = 10_000; // ms after a key that the focus may be lost in
const STOP = "a[href], button, input, select, textarea, summary, [tabindex]";
const POPOVER = '[data-testid="stPopoverBody"]';
const LINK = '.st-key-home_recent td[aria-colindex="1"]';
const POPOVER_BUTTON = '[data-testid="stPopoverButton"][aria-expanded="true"]';

function isUsable(stop) {
  // While the focus is outside of a popover, its stops keep their place for the Tab key in another attribute.
  const isReachable = stop.tabIndex >= 0 || (stop.dataset.tabindex ?? "-1") !== "-1";
  return isReachable && stop.isConnected && !stop.disabled && stop.checkVisibility();
}

// What the Tab key reaches in an element, shadow roots included, in the order of the document.
function stopsIn(root, isKept = isUsable) {
  return [...root.querySelectorAll("*")].flatMap((each) => [
    ...(each.matches(STOP) && isKept(each) ? [each] : []), ...(each.shadowRoot ? stopsIn(each.shadowRoot, isKept) : []),
  ]);
}

function focusedElement() {
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused;
}

// A group of choices is one stop, whichever of them has the focus.
function isSameStop(one, other) {
  return one === other || Boolean(one?.closest("[role=radiogroup]")?.contains(other));
}

// An open popover is at the end of the document; the Tab key goes from its button into it, and from it on.
function leadThroughPopover(event) {
  if (event.key !== "Tab" || event.altKey || event.ctrlKey || event.metaKey) return;
  const popover = [...document.querySelectorAll(POPOVER)].at(-1);
  const button = [...document.querySelectorAll(POPOVER_BUTTON)].at(-1);
  const stops = popover && button ? stopsIn(popover) : [];
  if (!stops.length) return;
  const focused = focusedElement();
  if (focused === button && !event.shiftKey) stops[0].focus();
  else if (event.shiftKey && isSameStop(focused, stops[0])) button.focus();
  else {
    if (event.shiftKey || !isSameStop(focused, stops.at(-1))) return;
    button.focus(); // from which the browser goes on
    return event.stopImmediatePropagation();
  }
  event.preventDefault();
  event.stopImmediatePropagation();
}

// The buttons that Streamlit draws in a table's cells listen to the mouse only.
function pressCell(event) {
  const cell = event.key === "Enter" ? focusedElement().closest(LINK) : null;
  if (!cell) return;
  event.preventDefault();
  const canvas = cell.closest("canvas");
  const { left, top, height } = canvas.getBoundingClientRect();
  const row = (Number(cell.parentElement.ariaRowIndex) - 0.5) / Number(cell.closest("table").ariaRowCount);
  const place = { clientX: left + 24, clientY: top + row * height, bubbles: true, isPrimary: true, pointerType: "mouse" };
  for (const name of ["pointermove", "pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(name, place));
  canvas.dispatchEvent(new MouseEvent("click", place));
}

// An element and all that it is in, out of shadow roots too.
function pathOf(element) {
  const path = [];
  for (let each = element; each; each = each.parentNode ?? each.host) path.push(each);
  return path;
}

// Where a key was pressed, and which stops were around it. A popover stands for the button that opens it.
function rememberStop(stop, opener) {
  const button = stop.closest(POPOVER) && document.querySelector(POPOVER_BUTTON);
  const dialog = stop.closest('[role="dialog"]');
  const order = stopsIn(document.body, () => true);
  const at = order.indexOf(stop);
  return {
    stop, path: pathOf(stop), name: stop.ariaLabel || stop.innerText?.trim(), isInDialog: Boolean(dialog && !button),
    before: button ? [button] : order.slice(0, Math.max(0, at)).reverse(), after: button ? [] : order.slice(at + 1),
    opener: dialog && !button ? opener?.opener ?? opener : null,
  };
}

// What takes the place of a stop: its successor of the same name, else the nearest stop before or after it, whichever
// is beside it. Before all stops of a page is the page itself.
function replacementOf({ stop, path, name, before, after, opener }) {
  if (opener) return isUsable(opener.stop) ? opener.stop : replacementOf(opener);
  const around = path.find((each) => each !== stop && each.isConnected && each.matches?.('[class*="st-key-"], .stMain'));
  const successor = around && name && stopsIn(around).find((other) => (other.ariaLabel || other.innerText?.trim()) === name);
  if (successor && !around.matches(".stMain")) return successor;
  const [previous, next] = [before.find(isUsable), after.find(isUsable)];
  const shared = (other) => (other ? path.findIndex((each) => pathOf(other).includes(each)) : Infinity);
  return shared(next) < shared(previous) ? next : previous ?? next;
}

// Streamlit drops the focus to the page, or after a dialog to the first link, when what has it is disabled or removed.
function keepFocus() {
  const state = { pressed: null, timer: null };
  const forget = () => clearInterval(state.timer);
  const check = () => {
    if (document.querySelector(".stApp")?.dataset.testScriptState !== "notRunning" || isUsable(state.pressed.stop)) return;
    const focused = focusedElement();
    const isLost = focused === document.body || (state.pressed.isInDialog && focused.matches('[href="#stMain"]'));
    if (isLost) replacementOf(state.pressed)?.focus({ preventScroll: true });
    if (isLost || performance.now() > state.until) forget();
  };
  document.addEventListener("pointerdown", () => {
    forget();
    state.pressed = null;
  }, true);
  document.addEventListener("keydown", (event) => {
    forget();
    const stop = event.composedPath()[0];
    if (!["Enter", " ", "Escape"].includes(event.key) || stop === document.body) return;
    state.pressed = rememberStop(stop, state.pressed);
    state.until = performance.now() + PATIENCE;
    state.timer = setInterval(check, CHECK);
  }, true);
}
