// Lets a presenter's remote and the arrow keys turn the pages of the story, wherever the focus is: a click on a choice
// would otherwise keep the arrow keys to itself. From Python: the keys of the two buttons.
const listeners = new WeakMap();
const DIRECTIONS = { PageDown: "next", ArrowRight: "next", PageUp: "back", ArrowLeft: "back" };
const WRITING = "input:not([type=radio]):not([type=checkbox]):not([type=button]), textarea, select, [contenteditable=true]";

function listen(root) {
  const listener = { root, keys: {} };
  const turn = (event) => {
    if (!listener.root.isConnected) return window.removeEventListener("keydown", turn, true);
    const direction = DIRECTIONS[event.key];
    if (!direction || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = event.composedPath()[0];
    if (target.matches?.(WRITING) || document.querySelector("[role=dialog], [role=menu]:popover-open, [data-presenting]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = document.querySelector(`.st-key-${listener.keys[direction]} button`);
    if (!button?.disabled) button?.click();
  };
  window.addEventListener("keydown", turn, true); // before the widgets' own handlers
  return listener;
}

export default function ({ parentElement, data }) {
  let listener = listeners.get(parentElement);
  if (!listener) listeners.set(parentElement, (listener = listen(parentElement)));
  listener.keys = data;
}
