// The outputs of a network's rows as maps, and beside them how one value of a map arises.
// From Python: the rows of maps, shapes and receptive fields of all rows, the scores, the cell to start with, and
// either the network with all its numbers ("network") or, if it is large, one explanation ("explained").
// To Python: the trigger "asked", the cell to explain, if the network is not here.
const STRONGEST = ".strongest"; // in the panel: the value that a walk back would follow
const KEYS = "Keys: arrows move the cell, Page Up and Page Down change the row, Enter steps back, Backspace returns.";
const views = new WeakMap();

function build() {
  const view = element("div", "layers");
  view.maps = element("div", "maps");
  view.panel = element("section", "panel");
  view.panel.ariaLabel = "How one value arises";
  view.live = element("p", "spoken");
  view.live.ariaLive = "polite";
  view.append(view.maps, view.panel, view.live);
  view.panel.addEventListener("keydown", (event) => {
    if (event.key !== "Backspace" && event.key !== "Escape") return;
    event.preventDefault();
    if (view.trail.length) view.back(1);
    else view.focusTile();
  });
  view.trail = [];
  connect(view);
  return view;
}

function connect(view) {
  const walk = (cell) => {
    const hadFocus = view.panel.contains(view.getRootNode().activeElement);
    show(view, cell, hadFocus ? STRONGEST : null);
    view.panel.scrollTop = 0;
  };
  view.choose = (cell, focus = null) => {
    view.trail = [];
    view.isChosen = true;
    show(view, cell, focus);
  };
  view.step = (cell) => {
    view.trail.push(view.cell);
    view.isChosen = true;
    walk(cell);
  };
  view.back = (steps) => walk(view.trail.splice(-steps)[0]);
  view.open = (index) => {
    view.opened = { row: view.cell[0], channel: view.explanation.patches[index].channel };
    render(view);
    view.panel.querySelector(".channel[aria-pressed=true]")?.focus();
  };
  view.focusTile = () => view.tiles.get(`${view.cell[0]} ${view.cell[1]}`)?.closest(".cell").focus();
  view.move = (event, focus) => {
    const cell = cellAfter(view, event.key);
    if (!cell) return;
    event.preventDefault();
    view.choose(cell, focus);
    if (!focus) view.focusTile();
  };
  view.explain = (cell) => explainCell(view.network, cell);
}

// The cell that a key leads to: the next of the map, at its edge the next channel, or the next row.
function cellAfter(view, key) {
  const [row, channel, y, x] = view.cell;
  const [, height, width] = view.data.rows[row].shape;
  const shown = view.data.maps.filter(({ channels }) => channels.length);
  const goToRow = (step) => {
    const next = shown[shown.findIndex(({ number }) => number === row) + step];
    if (!next) return null;
    const [, tall, wide] = view.data.rows[next.number].shape;
    const nearest = next.channels.findLast((each) => each <= channel) ?? next.channels[0];
    const inside = (at, from, to) => Math.min(to - 1, Math.floor(((at + 0.5) * to) / from));
    return [next.number, nearest, inside(y, height, tall), inside(x, width, wide)];
  };
  const goToChannel = (step) => {
    const { channels } = shown.find(({ number }) => number === row) ?? { channels: [] };
    const next = channels[channels.indexOf(channel) + step];
    return next === undefined ? null : [row, next, y, step > 0 ? 0 : width - 1];
  };
  switch (key) {
    case "ArrowRight": return x + 1 < width ? [row, channel, y, x + 1] : goToChannel(1);
    case "ArrowLeft": return x > 0 ? [row, channel, y, x - 1] : goToChannel(-1);
    case "ArrowDown": return y + 1 < height ? [row, channel, y + 1, x] : goToRow(1);
    case "ArrowUp": return y > 0 ? [row, channel, y - 1, x] : goToRow(-1);
    case "PageDown": return goToRow(1);
    case "PageUp": return goToRow(-1);
    default: return null;
  }
}

function fillMaps(view) {
  view.tiles = new Map();
  view.maps.replaceChildren(...view.data.maps.map((row) => {
    const section = buildRow(row);
    section.querySelectorAll(".cell").forEach((cell, index) => {
      const channel = row.channels[index];
      const tile = cell.querySelector(".tile");
      view.tiles.set(`${row.number} ${channel}`, tile);
      cell.setAttribute("role", "button");
      cell.tabIndex = -1;
      const { shape } = view.data.rows[row.number];
      cell.onclick = (event) => {
        const isPointer = event.detail > 0;
        const [y, x] = isPointer ? cellBelow(event, tile, shape) : [shape[1] >> 1, shape[2] >> 1];
        view.choose([row.number, channel, y, x]);
        if (window.matchMedia("(max-width: 56rem)").matches) view.panel.scrollIntoView({ block: "start" });
      };
      cell.onkeydown = (event) => {
        const isHere = view.cell[0] === row.number && view.cell[1] === channel;
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          if (isHere) focusPanel(view, STRONGEST);
          else cell.click();
        } else view.move(event);
      };
    });
    return section;
  }));
}

// Focus what a selector finds in the panel, or its first button.
function focusPanel(view, selector) {
  (view.panel.querySelector(selector) ?? view.panel.querySelector("button"))?.focus({ preventScroll: true });
}

// Show a cell, then focus what a selector finds in its explanation; Python is asked for its explanation if the network is not here.
function show(view, cell, focus = null) {
  view.cell = cell;
  if (!view.network) {
    outlineCells(view, null);
    view.focusAfter = focus;
    if (String(view.data.explained.cell) !== String(cell)) {
      if (view.asked !== String(cell)) view.send("asked", cell);
      view.asked = String(cell);
      return;
    }
    view.asked = null;
  }
  view.explanation = view.network ? view.explain(cell) : view.data.explained;
  render(view);
  if (focus) focusPanel(view, focus);
  view.live.textContent = `${nameOf(view, cell)}: ${long(view.explanation.value)}`;
}

function render(view) {
  const { explanation, cell } = view;
  outlineCells(view, explanation);
  for (const [name, tile] of view.tiles) {
    const isChosen = name === `${cell[0]} ${cell[1]}`;
    tile.closest(".cell").tabIndex = isChosen ? 0 : -1;
    tile.closest(".cell").ariaPressed = String(isChosen);
  }
  if (!view.maps.querySelector(".cell[tabindex='0']")) view.maps.querySelector(".cell").tabIndex = 0;
  const head = element("div", "head");
  const title = element("div", "name");
  title.append(element("span", "", nameOf(view, cell)), element("span", "value", long(explanation.value)));
  head.append(title, element("p", "sentence", explainInWords(view, explanation)));
  const top = element("div", "top");
  top.append(buildPictures(view), head);
  const parts = [buildTrail(view), top];
  const { patches, kind } = explanation;
  if (patches.length && patches[0].values.length === 1) parts.push(buildSingles(view, explanation));
  else if (patches.length) {
    const totals = patches.map((patch) => Math.abs(patchTotal(patch)));
    const isOpened = ({ channel }) => view.opened?.row === cell[0] && view.opened.channel === channel;
    const open = patches.find(isOpened) ?? patches[totals.indexOf(Math.max(...totals))];
    view.opened = { row: cell[0], channel: open.channel };
    parts.push(buildPatch(view, explanation, open));
    if (patches.length + explanation.others.count > 1) parts.push(buildChannels(view, explanation, open));
  }
  if (!["maxpool", "dropout", "space_to_depth"].includes(kind)) parts.push(buildSteps(explanation));
  if (isScore(view, cell)) parts.push(buildScores(view, cell));
  parts.push(element("p", "keys aside", KEYS));
  view.panel.replaceChildren(...parts);
}

function exists(view, [row, channel, y, x]) {
  const shape = view.data.rows[row]?.shape;
  return shape && channel < shape[0] && y < shape[1] && x < shape[2];
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = viewOf(views, parentElement, "layers", build);
  view.send = (name, value) => setTriggerValue(name, value);
  const drawn = JSON.stringify(data);
  if (view.drawn === drawn) return;
  view.drawn = drawn;
  const [rowsBefore, mapsBefore] = [view.data?.rows, view.data?.maps].map((part) => JSON.stringify(part));
  view.data = data;
  if (rowsBefore !== JSON.stringify(data.rows)) {
    view.isChosen &&= view.data.rows.length > 0 && exists(view, view.cell);
    view.trail = [];
  }
  const active = view.getRootNode().activeElement;
  const [isOnMap, isInPanel] = [view.maps, view.panel].map((part) => part.contains(active));
  view.network = data.network && readNetwork(data.network, data.pixels);
  if (mapsBefore !== JSON.stringify(data.maps)) fillMaps(view);
  const asked = view.isChosen ? view.cell : data.start;
  const focus = view.focusAfter ?? (isInPanel ? STRONGEST : null);
  view.focusAfter = null;
  show(view, asked, focus);
  if (isOnMap) view.focusTile();
}
