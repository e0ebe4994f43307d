// A button that prints a document of its own, which a hidden frame holds. From Python: the document as HTML.
const views = new WeakMap();

function build() {
  const view = element("div", "print");
  const button = element("button", "button", "Print");
  button.type = "button";
  const frame = element("iframe", "paper");
  frame.title = "The document to print";
  frame.tabIndex = -1;
  // Without scripts; same origin, so that the page may print it.
  frame.sandbox = "allow-same-origin allow-modals";
  frame.ariaHidden = "true";
  button.addEventListener("click", () => frame.contentWindow.print());
  view.append(button, frame);
  return view;
}

export default function ({ parentElement, data }) {
  const view = viewOf(views, parentElement, "print", build);
  const frame = view.querySelector(".paper");
  if (frame.srcdoc !== data.html) frame.srcdoc = data.html;
}
