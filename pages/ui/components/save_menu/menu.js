// Saves the chart beside it as it is on the page: its own drawing as SVG, the same as PNG, and its figures as CSV,
// which Python is asked for. Nothing leaves the browser.
const menus = new WeakMap();
const CHOICES = [["png", "PNG", "picture"], ["svg", "SVG", "drawing"], ["csv", "CSV", "figures"]];
const SCALE = 3; // pixels of a PNG for each of the page's
const HEAD = 52; // height of the title and its explanation above the chart
const FOOT = 8;
const SVG = "http://www.w3.org/2000/svg";

function open(root) {
  root.querySelector(".menu")?.remove();
  const view = document.createElement("div");
  view.className = "menu";
  view.innerHTML = `
    <button type="button" class="open" aria-haspopup="menu" aria-expanded="false">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4v11m-5-5 5 5 5-5M5 20h14"/></svg></button>
    <div class="choices" role="menu" popover="manual">${CHOICES.map(([kind, name, words]) =>
      `<button type="button" role="menuitem" data-kind="${kind}">${name}<span>${words}</span></button>`).join("")}</div>`;
  root.append(view);
  const menu = { root, view, data: null, ask: null, saved: 0 };
  const button = view.querySelector(".open");
  button.addEventListener("click", () => show(menu, button.getAttribute("aria-expanded") === "false"));
  view.querySelector(".choices").addEventListener("click", (event) => {
    const kind = event.target.closest("button")?.dataset.kind;
    if (!kind) return;
    show(menu, false);
    save(menu, kind).catch(() => menu.view.querySelector(".open").setAttribute("title", "This chart cannot be saved"));
  });
  view.addEventListener("keydown", (event) => walk(menu, event));
  view.addEventListener("focusout", (event) => { if (!view.contains(event.relatedTarget)) show(menu, false, false); });
  window.addEventListener("scroll", () => { if (view.isConnected) show(menu, false, false); }, { capture: true, passive: true });
  return menu;
}

function show(menu, opened, focus = true) {
  const { view } = menu;
  const choices = view.querySelector(".choices");
  choices.togglePopover(opened);
  view.querySelector(".open").setAttribute("aria-expanded", String(opened));
  const place = view.querySelector(".open").getBoundingClientRect();
  choices.style.top = `${place.bottom + 4}px`;
  choices.style.left = `${Math.max(8, place.right - choices.offsetWidth)}px`;
  view.querySelector('[data-kind="svg"]').hidden = !chart(menu)?.matches("svg");
  if (focus && view.isConnected) view.querySelector(opened ? "[role=menuitem]" : ".open").focus();
}

function walk(menu, event) {
  const items = [...menu.view.querySelectorAll("[role=menuitem]:not([hidden])")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const at = items.indexOf(event.target);
  if (event.key === "Escape") show(menu, false);
  else if (step && at >= 0) items[(at + step + items.length) % items.length].focus();
  else return;
  event.preventDefault();
}

// The drawing in the same box: Vega makes an SVG, or a canvas where there are very many marks.
function chart({ root }) {
  const box = (root.getRootNode().host ?? root).closest('[class*="st-key-chart_"]');
  return box?.querySelector('[data-testid="stVegaLiteChart"] svg, [data-testid="stVegaLiteChart"] canvas');
}

async function save(menu, kind) {
  if (kind === "csv") return menu.ask("csv", Date.now());
  const drawn = chart(menu);
  const size = drawn.getBoundingClientRect();
  const style = getComputedStyle(document.querySelector(".stApp"));
  const [width, height] = [Math.ceil(size.width), Math.ceil(size.height) + HEAD + FOOT];
  if (kind === "svg") return hand(menu, kind, new Blob([sheet(menu, drawn, style, width, height)], { type: "image/svg+xml" }));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [SCALE * width, SCALE * height];
  const ink = canvas.getContext("2d");
  ink.scale(SCALE, SCALE);
  const vector = drawn.matches("svg") ? drawn : null;
  ink.drawImage(await picture(sheet(menu, vector, style, width, height, await fonts(style))), 0, 0, width, height);
  if (!vector) ink.drawImage(drawn, 0, HEAD, size.width, size.height);
  canvas.toBlob((blob) => hand(menu, kind, blob), "image/png");
}

// The chart on the page's paper, under its title.
function sheet({ data }, drawn, style, width, height, faces = "") {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) svg.setAttribute(name, value);
  const add = (name, attributes, text) => {
    const made = svg.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  if (faces) add("style", {}, faces);
  add("rect", { width, height, fill: style.backgroundColor });
  const font = { x: 8, "font-family": style.fontFamily, fill: style.color };
  add("text", { ...font, y: 22, "font-size": 15, "font-weight": 600 }, data.heading);
  add("text", { ...font, y: 41, "font-size": 13, opacity: 0.65 }, data.quiet);
  if (drawn) add("g", { transform: `translate(0 ${HEAD})` }).append(drawn.cloneNode(true));
  return new XMLSerializer().serializeToString(svg);
}

function picture(text) {
  const image = new Image();
  return new Promise((resolve, reject) => {
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  });
}

// A picture is drawn without the page's fonts, so they are put into it.
async function fonts(style) {
  const family = style.fontFamily.split(",")[0].replaceAll('"', "").trim();
  const found = [...document.styleSheets].flatMap(rules).filter((rule) => rule instanceof CSSFontFaceRule
    && rule.style.getPropertyValue("font-family").replaceAll('"', "") === family
    && rule.style.getPropertyValue("font-style") !== "italic");
  return (await Promise.all(found.map(async (rule) => {
    const address = rule.style.getPropertyValue("src").match(/url\(["']?([^"')]+)/)?.[1];
    const from = new URL(address, rule.parentStyleSheet?.href ?? document.baseURI);
    if (from.origin !== location.origin) return "";
    const read = new FileReader();
    read.readAsDataURL(await (await fetch(from)).blob());
    await new Promise((resolve) => { read.onload = resolve; });
    return `@font-face { font-family: "${family}"; font-weight: ${rule.style.getPropertyValue("font-weight") || 400};
      src: url(${read.result}); }`;
  }))).join("\n");
}

function rules(each) {
  try { return [...each.cssRules]; } catch { return []; } // another origin's, which may not be read
}

function hand({ data }, kind, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${data.file}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export default function ({ parentElement, data, setTriggerValue }) {
  let menu = menus.get(parentElement);
  if (!menu) menus.set(parentElement, (menu = open(parentElement)));
  [menu.data, menu.ask] = [data, setTriggerValue];
  const button = menu.view.querySelector(".open");
  button.title = `Save ${data.title} as a file`;
  button.ariaLabel = button.title;
  if (data.csv !== null && data.asked !== menu.saved) {
    menu.saved = data.asked;
    hand(menu, "csv", new Blob([data.csv], { type: "text/csv" }));
  }
}
