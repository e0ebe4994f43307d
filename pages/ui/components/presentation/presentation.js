// Slides, one at a time on the whole screen, with a button that starts them.
// From Python: the slides (name, chapter, title, text, figures by title, picture, a note on it, task, label and link of what to try), or
// null while nobody has asked for them; the name of the slide that the link opens. To Python: the trigger "asked".
// The address holds the name of the slide that is shown, so that it can be copied and survives a reload.
const presentations = new WeakMap();
const SIDE = 28;
const LINK = "slide";
const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
const ENDS = { Home: 0, End: Infinity };

function button(className, text, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function build(root) {
  const view = { slides: [], place: 0, linked: "", isFull: false };
  const dialog = element("dialog", "stage");
  dialog.ariaLabel = "Presentation";
  view.dialog = dialog;
  view.deck = element("div", "deck");
  view.deck.tabIndex = -1;
  view.slide = element("div", "slide", "Preparing the slides");
  view.slide.ariaLive = "polite";
  view.tries = element("div", "tries");
  view.back = button("plain", "Back", () => go(view, view.place - 1));
  view.next = button("main", "Next", () => go(view, view.place + 1));
  view.number = element("span", "number");
  view.full = button("plain", "Full screen", () => fill(view));
  view.full.hidden = true;
  view.bar = element("div", "bar");
  view.bar.role = "progressbar";
  view.bar.ariaLabel = "Slides";
  view.bar.append(element("div", "done"));
  const controls = element("div", "controls");
  controls.append(view.number, view.back, view.next, view.full, button("plain", "Leave", () => dialog.close()));
  const foot = element("div", "foot");
  foot.append(view.tries, controls);
  view.deck.append(view.slide, foot, view.bar);
  // A click leaves the keys to the deck: the space bar goes on, whatever was clicked before.
  view.deck.addEventListener("click", (event) => { if (event.detail) view.deck.focus(); });
  dialog.append(view.deck);
  dialog.addEventListener("close", () => leave(view));
  const start = button("button", "Present", () => {
    open(view, view.place);
    fill(view);
  });
  root.append(start, dialog);
  document.addEventListener("fullscreenchange", () => { if (dialog.isConnected) follow(view); });
  const listen = (event) => {
    if (dialog.isConnected) onKey(view, event);
    else window.removeEventListener("keydown", listen, true);
  };
  window.addEventListener("keydown", listen, true);
  return view;
}

function fill(view) {
  view.deck.requestFullscreen?.().catch(() => {}); // not allowed: the deck fills the page
}

// The browser's own way out of full screen, the Escape key, leaves the presentation, too; not so a link to a new tab.
function follow(view) {
  const isFull = Boolean(document.fullscreenElement);
  view.full.hidden = isFull || !document.fullscreenEnabled;
  if (view.isFull && !isFull && !view.isAway) view.dialog.close();
  view.isFull = isFull;
  view.isAway = false;
}

function onKey(view, event) {
  if (!view.dialog.open) return;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") return view.dialog.close();
  const target = event.composedPath()[0];
  if (event.key === " " && target.matches?.("button, a")) return; // presses what the Tab key has chosen
  let place = ENDS[event.key];
  if (event.key in STEPS) place = view.place + (event.shiftKey ? -1 : 1) * STEPS[event.key];
  if (place === undefined) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  go(view, place);
}

function open(view, place) {
  document.documentElement.toggleAttribute("data-presenting", true); // the page below ignores the keys
  if (!view.dialog.open) view.dialog.showModal();
  view.deck.focus();
  view.full.hidden = !document.fullscreenEnabled;
  if (view.slides.length) go(view, place);
  else view.ask("asked", true);
}

function leave(view) {
  document.documentElement.toggleAttribute("data-presenting", false);
  if (document.fullscreenElement) document.exitFullscreen();
  view.isFull = false;
  write(null);
}

function go(view, place) {
  view.place = Math.max(0, Math.min(view.slides.length - 1, place));
  const slide = view.slides[view.place];
  if (!slide) return;
  view.slide.replaceChildren(...draw(slide));
  const link = element("a", "try", `Open ${slide.label}`);
  link.href = slide.link;
  link.target = "_blank";
  link.rel = "noopener";
  link.title = "Opens in a new tab";
  link.addEventListener("click", () => { view.isAway = view.isFull; });
  view.tries.replaceChildren(element("span", "task", slide.task), link);
  view.number.textContent = `${view.place + 1} / ${view.slides.length}`;
  view.back.disabled = view.place === 0;
  view.next.disabled = view.place === view.slides.length - 1;
  view.bar.ariaValueMax = view.slides.length;
  view.bar.ariaValueMin = 1;
  view.bar.ariaValueNow = view.place + 1;
  view.bar.firstChild.style.width = `${(100 * (view.place + 1)) / view.slides.length}%`;
  write(slide.name);
}

function write(name) {
  const address = new URL(location.href);
  if (name) address.searchParams.set(LINK, name);
  else address.searchParams.delete(LINK);
  history.replaceState(history.state, "", address);
}

function draw(slide) {
  const head = [element("p", "chapter", slide.chapter === slide.title ? "" : slide.chapter), element("h2", "title", slide.title),
    element("p", "text", slide.text)];
  const body = element("div", "body");
  const figures = element("dl", "figures");
  for (const [title, value] of Object.entries(slide.figures)) {
    const pair = element("div", "figure");
    pair.append(element("dt", "", title), element("dd", "", value));
    figures.append(pair);
  }
  if (figures.children.length) body.append(figures);
  const picture = drawPicture(slide.picture);
  if (picture) {
    const column = element("div", "column");
    if (slide.note) column.append(element("p", "note", slide.note));
    column.append(picture);
    picture.setAttribute("role", slide.picture.rows ? "group" : "img");
    picture.ariaLabel = slide.picture.alt;
    body.append(column);
  }
  body.classList.toggle("alone", !picture);
  return [...head, body];
}

function drawPicture(picture) {
  if (picture.svg) {
    const box = element("div", "picture");
    // As a document of its own: what an SVG may bring along is not run.
    const svg = new DOMParser().parseFromString(picture.svg, "image/svg+xml").documentElement;
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    box.append(svg);
    return box;
  }
  if (picture.strip) {
    const strip = element("div", "picture strip");
    strip.style.maskImage = `url(${picture.strip})`;
    return strip;
  }
  return picture.rows ? drawDigits(picture) : null;
}

function drawDigits({ sheet, width, height, columns, lines, rows }) {
  const box = element("div", "picture digits");
  box.style.setProperty("--sheet", `url(${sheet})`);
  box.style.setProperty("--size", `${(100 * width) / SIDE}% ${(100 * height) / SIDE}%`);
  box.style.setProperty("--columns", columns);
  box.style.setProperty("--lines", lines);
  for (const { heading, cells } of rows) {
    if (heading) box.append(element("h3", "heading", heading));
    const row = element("div", "row");
    for (const { alt, label, place: [left, top] } of cells) {
      const cell = element("div", "cell");
      const pixels = element("span", "pixels");
      pixels.style.maskPosition = `${(100 * left) / (width - SIDE)}% ${(100 * top) / (height - SIDE)}%`;
      const tile = element("span", "tile");
      tile.append(pixels);
      cell.append(tile);
      if (label) cell.append(element("span", "label", label));
      cell.setAttribute("role", "img");
      cell.ariaLabel = alt;
      row.append(cell);
    }
    box.append(row);
  }
  return box;
}

export default function ({ parentElement, data, setTriggerValue }) {
  let view = presentations.get(parentElement);
  if (!view) presentations.set(parentElement, (view = build(parentElement)));
  view.ask = setTriggerValue;
  if (data.slides) view.slides = data.slides;
  if (view.dialog.open && data.slides) go(view, view.place);
  if (data.linked && data.linked !== view.linked) {
    const place = view.slides.findIndex((slide) => slide.name === data.linked);
    if (place >= 0 && !view.dialog.open) open(view, place);
  }
  view.linked = data.linked;
}
