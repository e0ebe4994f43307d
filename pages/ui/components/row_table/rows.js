// The table of layer rows. It holds the rows while they are edited and sends all of them after each change.
// From Python: the rows, the kinds of rows with their parameters, the shape and parameters of each layer, errors by
// row, and the number of the state that these belong to; those of an older state than the last one sent are ignored.
// To Python: the trigger "edited" with all rows and the number of this state.
const COLUMNS = ["channels", "kernel", "stride", "padding", "groups", "bias", "norm", "activation", "shared"];
const TYPING_PAUSE = 350; // ms after the last key before a typed number is sent
const ICONS = {
  up: "M8 13V3.5M3.8 7.5 8 3.3l4.2 4.2", down: "M8 3v9.5M3.8 8.5 8 12.7l4.2-4.2",
  copy: "M6 6h7v7H6zM3.5 10.2V3.5h6.7", remove: "M4 4l8 8M12 4l-8 8",
};
const TOOLS = { up: "Move up", down: "Move down", copy: "Copy below", remove: "Remove" };
const tables = new WeakMap();

function titleOf(word) {
  return word === "p" ? "Probability" : word[0].toUpperCase() + word.slice(1);
}

function buildSelect(options, value, titles = {}) {
  const made = element("select", "value");
  for (const name of options.includes(value) ? options : [value, ...options]) {
    const option = element("option", "", titles[name] ?? name);
    option.value = name;
    made.append(option);
  }
  made.value = value;
  return made;
}

function buildInput(table, at, spec) {
  const value = table.rows[at][spec.name] ?? spec.default;
  let made;
  if (spec.choices.length) made = buildSelect(spec.choices, value);
  else {
    made = element("input", "value");
    made.type = spec.type === "bool" ? "checkbox" : "number";
    if (spec.type === "bool") made.checked = value === true;
    else {
      Object.assign(made, { min: spec.low, max: spec.high, step: spec.type === "float" ? "0.01" : "1" });
      made.value = value ?? "";
      made.placeholder = spec.default ?? "the run's";
    }
  }
  const read = () => (made.type === "checkbox" ? made.checked : made.type !== "number" ? made.value
    : made.value === "" ? null : Number(made.value));
  made.addEventListener("change", () => setValue(table, at, spec.name, read(), 0));
  if (made.type === "number") made.addEventListener("input", () => setValue(table, at, spec.name, read(), TYPING_PAUSE));
  return made;
}

function buildField(table, at, spec) {
  const made = element("label", `field ${spec.name}`);
  made.title = spec.help;
  const input = buildInput(table, at, spec);
  input.dataset.name = spec.name;
  input.ariaLabel = `${titleOf(spec.name)} of row ${at + 1}`;
  made.append(element("span", "name", titleOf(spec.name)), input);
  return made;
}

function buildRow(table, at) {
  const row = table.rows[at];
  const made = element("li", "row");
  const grip = element("span", "grip", at + 1);
  grip.draggable = true;
  grip.title = "Drag to move, or Alt with an arrow key";
  const kind = element("label", "field kind");
  const titles = Object.fromEntries(Object.entries(table.kinds).map(([name, kind]) => [name, kind.title]));
  const select = buildSelect(Object.keys(table.kinds), row.kind ?? "", titles);
  select.dataset.name = "kind";
  select.ariaLabel = `Kind of row ${at + 1}`;
  select.title = table.kinds[row.kind]?.help ?? "";
  select.addEventListener("change", () => changeKind(table, at, select.value));
  kind.append(select);
  const tools = element("span", "tools");
  for (const [name, title] of Object.entries(TOOLS)) {
    const button = element("button", "tool");
    button.type = "button";
    button.title = title;
    button.dataset.name = name;
    button.ariaLabel = `${title}: row ${at + 1}`;
    button.disabled = (name === "up" && at === 0) || (name === "down" && at === table.rows.length - 1);
    button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
    button.addEventListener("click", () => applyTool(table, at, name));
    tools.append(button);
  }
  const fields = (table.kinds[row.kind]?.parameters ?? []).map((spec) => buildField(table, at, spec));
  made.append(grip, kind, ...fields, element("span", "gives"), element("span", "count"), tools,
    element("p", "mistake"));
  made.querySelector(".mistake").role = "alert";
  made.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step) return;
    event.preventDefault();
    moveRow(table, at, at + step, event.target.dataset.name);
  });
  grip.addEventListener("dragstart", (event) => {
    table.dragged = at;
    event.dataTransfer.setData("text/plain", String(at + 1));
    event.dataTransfer.setDragImage(made, 0, 0);
  });
  made.addEventListener("dragover", (event) => {
    if (table.dragged === null) return;
    event.preventDefault();
    for (const row of table.list.children) row.classList.remove("above", "below");
    if (at !== table.dragged) made.classList.add(at < table.dragged ? "above" : "below");
  });
  made.addEventListener("drop", (event) => {
    event.preventDefault();
    if (table.dragged !== null) moveRow(table, table.dragged, at, "kind");
  });
  grip.addEventListener("dragend", () => {
    table.dragged = null;
    for (const row of table.list.children) row.classList.remove("above", "below");
  });
  return made;
}

function render(table, at, name) {
  table.list.replaceChildren(...table.rows.map((_, index) => buildRow(table, index)));
  annotate(table);
  const row = table.list.children[at];
  (row?.querySelector(`[data-name=${name}]:enabled`) ?? row?.querySelector("select"))?.focus();
}

function annotate({ list, data, undo, history, total }) {
  [...list.children].forEach((made, at) => {
    const layer = data.layers[at];
    made.querySelector(".gives").textContent = layer ? layer.gives : "";
    const count = made.querySelector(".count");
    count.textContent = layer?.parameters ? layer.parameters.toLocaleString("en") : "";
    const mistake = made.querySelector(".mistake");
    const words = data.mistakes[at + 1] ?? "";
    if (mistake.textContent !== words) mistake.textContent = words;
    made.classList.toggle("wrong", Boolean(words));
  });
  total.textContent = data.total;
  undo.disabled = !history.length;
}

function saveForUndo(table) {
  table.history.push(JSON.stringify(table.rows));
  if (table.history.length > 100) table.history.shift();
}

// Replace the rows. `places` holds the new position of each old row, by which rows of kind "add" are renumbered.
function reorder(table, rows, places) {
  saveForUndo(table);
  table.rows = rows.map((row) => {
    const from = row.kind === "add" ? row.from ?? 1 : 0;
    return Number.isInteger(from) && from >= 1 && from <= places.length ? { ...row, from: places[from - 1] + 1 }
      : { ...row };
  });
}

function moveRow(table, from, to, name) {
  if (to < 0 || to >= table.rows.length || to === from) return;
  const order = table.rows.map((_, at) => at);
  order.splice(to, 0, ...order.splice(from, 1));
  reorder(table, order.map((at) => table.rows[at]), table.rows.map((_, at) => order.indexOf(at)));
  render(table, to, name);
  sendRows(table);
}

function applyTool(table, at, name) {
  const rows = [...table.rows];
  if (name === "up" || name === "down") return moveRow(table, at, name === "up" ? at - 1 : at + 1, name);
  const [step, ...added] = name === "copy" ? [1, rows[at]] : [-1];
  rows.splice(name === "copy" ? at + 1 : at, name === "copy" ? 0 : 1, ...added);
  // A row that added the removed one now adds the row above it.
  const places = table.rows.map((_, index) => (index > at || (step < 0 && index === at) ? Math.max(0, index + step) : index));
  reorder(table, rows, places);
  render(table, Math.min(step > 0 ? at + 1 : at, rows.length - 1), name === "copy" ? "kind" : name);
  return sendRows(table);
}

function changeKind(table, at, kind) {
  const takes = new Set(table.kinds[kind].parameters.map(({ name }) => name));
  const kept = Object.entries(table.rows[at]).filter(([name]) => takes.has(name));
  saveForUndo(table);
  table.rows[at] = { kind, ...Object.fromEntries(kept) };
  render(table, at, "kind");
  sendRows(table);
}

function setValue(table, at, name, value, wait) {
  clearTimeout(table.timer);
  if (table.rows[at][name] !== value) {
    if (table.typing !== `${at} ${name}`) saveForUndo(table);
    table.typing = `${at} ${name}`;
    table.rows[at] = { ...table.rows[at], [name]: value };
    table.unsent = true;
  }
  if (table.unsent) table.timer = setTimeout(() => sendRows(table), wait);
}

function sendRows(table) {
  clearTimeout(table.timer);
  table.unsent = false;
  table.number += 1;
  table.trigger("edited", { rows: table.rows, number: table.number });
}

function normalised(table, rows) {
  return JSON.stringify(rows.map((row) => {
    const specs = table.kinds[row.kind]?.parameters ?? [];
    return [row.kind, ...(specs.length ? specs.map(({ name, default: usual }) => row[name] ?? usual) : [row])];
  }));
}

function openTable(root) {
  root.querySelector(".rows")?.remove();
  const view = element("div", "rows");
  const head = element("div", "head");
  const list = element("ol", "list");
  const foot = element("div", "foot");
  const undo = element("button", "undo", "Undo");
  const add = element("select", "add");
  const total = element("span", "total");
  list.ariaLabel = "Rows of the network";
  undo.type = "button";
  add.ariaLabel = "Add a row";
  total.role = "status";
  foot.append(add, undo, total);
  view.append(head, list, foot);
  root.append(view);
  const table = { view, head, list, undo, add, total, rows: [], history: [], number: 0, dragged: null, timer: null,
    unsent: false, typing: "", kinds: null, data: null, trigger: null };
  add.addEventListener("change", () => {
    const kind = add.value;
    add.value = "";
    saveForUndo(table);
    table.rows = [...table.rows, { kind }];
    render(table, table.rows.length - 1, "kind");
    sendRows(table);
  });
  undo.addEventListener("click", () => {
    table.rows = JSON.parse(table.history.pop());
    table.typing = "";
    render(table);
    sendRows(table);
  });
  return table;
}

function setKinds(table, kinds) {
  table.kinds = kinds;
  const specs = Object.values(kinds).flatMap(({ parameters }) => parameters);
  const heads = COLUMNS.map((column) => {
    const made = element("span", column, titleOf(column));
    made.title = specs.find((spec) => spec.name === column).help;
    return made;
  });
  table.head.ariaHidden = "true";
  table.head.replaceChildren(element("span", "grip", "Row"), element("span", "kind", "Kind"), ...heads,
    element("span", "gives", "Output"), element("span", "count", "Parameters"));
  table.add.replaceChildren(element("option", "", "Add a row"), ...Object.entries(kinds).map(([kind, { title }]) => {
    const option = element("option", "", title);
    option.value = kind;
    return option;
  }));
  table.add.options[0].value = "";
}

export default function ({ parentElement, data, setTriggerValue }) {
  let table = tables.get(parentElement);
  const fresh = !table;
  if (fresh) tables.set(parentElement, (table = openTable(parentElement)));
  table.trigger = setTriggerValue;
  if (!table.kinds) setKinds(table, data.kinds);
  if (fresh) table.number = data.answered;
  if (data.answered < table.number || table.unsent) return;
  table.data = data;
  if (!fresh && normalised(table, data.rows) === normalised(table, table.rows)) return annotate(table);
  if (!fresh) saveForUndo(table);
  table.rows = data.rows.map((row) => ({ ...row }));
  return render(table);
}
