// Saves the chart beside it as it is on the page: Vega's drawing as SVG, the same as PNG, or its values as CSV.
// From Python: titles, the filename, and the CSV text once it was requested. To Python: the trigger "csv", the time of
// the request. Nothing leaves the browser.
const menus = new WeakMap();
const CHOICES = [["png", "PNG", "picture"], ["svg", "SVG", "drawing"], ["csv", "CSV", "values"]];
const SCALE = 3; // pixels of the PNG for each pixel of the page
const HEADER = 52; // height of the title and subtitle above the chart
const FOOTER = 8;
const SVG = "http://www.w3.org/2000/svg";

function openMenu(root) {
  root.querySelector(".menu")?.remove();
  const view = element("div", "menu");
  view.innerHTML = `
    <button type="button" class="open" aria-haspopup="menu" aria-expanded="false">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4v11m-5-5 5 5 5-5M5 20h14"/></svg></button>
    <div class="choices" role="menu" popover="manual">${CHOICES.map(([kind, name, words]) =>
      `<button type="button" role="menuitem" data-kind="${kind}">${name}<span>${words}</span></button>`).join("")}</div>`;
  root.append(view);
  const menu = { root, view, data: null, trigger: null, saved: 0 };
  const button = view.querySelector(".open");
  button.addEventListener("click", () => toggle(menu, button.getAttribute("aria-expanded") === "false"));
  view.querySelector(".choices").addEventListener("click", (event) => {
    const kind = event.target.closest("button")?.dataset.kind;
    if (!kind) return;
    toggle(menu, false);
    save(menu, kind).catch(() => view.querySelector(".open").setAttribute("title", "This chart cannot be saved"));
  });
  view.addEventListener("keydown", (event) => onKey(menu, event));
  view.addEventListener("focusout", (event) => {
    if (!view.contains(event.relatedTarget)) toggle(menu, false, false);
  });
  window.addEventListener("scroll", () => {
    if (view.isConnected) toggle(menu, false, false);
  }, { capture: true, passive: true });
  return menu;
}

function toggle(menu, opened, focus = true) {
  const { view } = menu;
  const choices = view.querySelector(".choices");
  choices.togglePopover(opened);
  view.querySelector(".open").setAttribute("aria-expanded", String(opened));
  const button = view.querySelector(".open").getBoundingClientRect();
  choices.style.top = `${button.bottom + 4}px`;
  choices.style.left = `${Math.max(8, button.right - choices.offsetWidth)}px`;
  view.querySelector('[data-kind="svg"]').hidden = !findChart(menu)?.matches("svg");
  if (focus && view.isConnected) view.querySelector(opened ? "[role=menuitem]" : ".open").focus();
}

function onKey(menu, event) {
  const items = [...menu.view.querySelectorAll("[role=menuitem]:not([hidden])")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const index = items.indexOf(event.target);
  if (event.key === "Escape") toggle(menu, false);
  else if (step && index >= 0) items[(index + step + items.length) % items.length].focus();
  else return;
  event.preventDefault();
}

// The chart in the same container. Vega draws an SVG, or a canvas for charts with very many marks.
function findChart({ root }) {
  const box = (root.getRootNode().host ?? root).closest('[class*="st-key-chart_"]');
  return box?.querySelector('[data-testid="stVegaLiteChart"] svg, [data-testid="stVegaLiteChart"] canvas');
}

async function save(menu, kind) {
  if (kind === "csv") return menu.trigger("csv", Date.now());
  const chart = findChart(menu);
  const size = chart.getBoundingClientRect();
  const style = getComputedStyle(document.querySelector(".stApp"));
  const [width, height] = [Math.ceil(size.width), Math.ceil(size.height) + HEADER + FOOTER];
  if (kind === "svg") {
    return download(menu, kind, new Blob([compose(menu, chart, style, width, height)], { type: "image/svg+xml" }));
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [SCALE * width, SCALE * height];
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  const vector = chart.matches("svg") ? chart : null;
  const image = await loadImage(compose(menu, vector, style, width, height, await embeddedFonts(style)));
  context.drawImage(image, 0, 0, width, height);
  if (!vector) context.drawImage(chart, 0, HEADER, size.width, size.height);
  canvas.toBlob((blob) => download(menu, kind, blob), "image/png");
}

// The SVG text of a chart on the page's background, below its title.
function compose({ data }, chart, style, width, height, fonts = "") {
  const svg = document.createElementNS(SVG, "svg");
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  for (const [name, value] of Object.entries(size)) svg.setAttribute(name, value);
  const add = (name, attributes, text) => {
    const child = svg.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
    if (text !== undefined) child.textContent = text;
    return child;
  };
  if (fonts) add("style", {}, fonts);
  add("rect", { width, height, fill: style.backgroundColor });
  const font = { x: 8, "font-family": style.fontFamily, fill: style.color };
  add("text", { ...font, y: 22, "font-size": 15, "font-weight": 600 }, data.heading);
  add("text", { ...font, y: 41, "font-size": 13, opacity: 0.65 }, data.subtitle);
  if (chart) add("g", { transform: `translate(0 ${HEADER})` }).append(chart.cloneNode(true));
  return new XMLSerializer().serializeToString(svg);
}

function loadImage(svg) {
  const image = new Image();
  return new Promise((resolve, reject) => {
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  });
}

// An SVG image cannot use the page's fonts, so they are embedded in it.
async function embeddedFonts(style) {
  const family = style.fontFamily.split(",")[0].replaceAll('"', "").trim();
  const faces = [...document.styleSheets].flatMap(rulesOf).filter((rule) => rule instanceof CSSFontFaceRule
    && rule.style.getPropertyValue("font-family").replaceAll('"', "") === family
    && rule.style.getPropertyValue("font-style") !== "italic");
  return (await Promise.all(faces.map(async (rule) => {
    const address = rule.style.getPropertyValue("src").match(/url\(["']?([^"')]+)/)?.[1];
    const url = new URL(address, rule.parentStyleSheet?.href ?? document.baseURI);
    if (url.origin !== location.origin) return "";
    const reader = new FileReader();
    reader.readAsDataURL(await (await fetch(url)).blob());
    await new Promise((resolve) => { reader.onload = resolve; });
    return `@font-face { font-family: "${family}"; font-weight: ${rule.style.getPropertyValue("font-weight") || 400};
      src: url(${reader.result}); }`;
  }))).join("\n");
}

function rulesOf(stylesheet) {
  try { return [...stylesheet.cssRules]; } catch { return []; } // of another origin, which may not be read
}

function download({ data }, kind, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${data.filename}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export default function ({ parentElement, data, setTriggerValue }) {
  let menu = menus.get(parentElement);
  if (!menu) menus.set(parentElement, (menu = openMenu(parentElement)));
  [menu.data, menu.trigger] = [data, setTriggerValue];
  const button = menu.view.querySelector(".open");
  button.title = `Save ${data.title} as a file`;
  button.ariaLabel = button.title;
  if (data.csv !== null && data.requested !== menu.saved) {
    menu.saved = data.requested;
    download(menu, "csv", new Blob([data.csv], { type: "text/csv" }));
  }
}
