// The table of layer rows. It holds the rows while they are edited and sends all of them after each change; Python
// answers with what they come to. An answer to an older state than the last one sent is passed over.
const COLUMNS = ["channels", "kernel", "stride", "padding", "groups", "bias", "norm", "activation"];
const PAUSE = 350; // ms without a key before a typed number is sent
const ICONS = {
  up: "M8 13V3.5M3.8 7.5 8 3.3l4.2 4.2", down: "M8 3v9.5M3.8 8.5 8 12.7l4.2-4.2",
  copy: "M6 6h7v7H6zM3.5 10.2V3.5h6.7", remove: "M4 4l8 8M12 4l-8 8",
};
const TOOLS = { up: "Move up", down: "Move down", copy: "Copy below", remove: "Remove" };
const tables = new WeakMap();

function capital(word) {
  return word === "p" ? "Share" : word[0].toUpperCase() + word.slice(1);
}

function choose(options, value, titles = {}) {
  const made = element("select", "value");
  for (const each of options.includes(value) ? options : [value, ...options]) {
    const option = element("option", "", titles[each] ?? each);
    option.value = each;
    made.append(option);
  }
  made.value = value;
  return made;
}

function control(table, at, spec) {
  const value = table.rows[at][spec.name] ?? spec.default;
  let made;
  if (spec.choices.length) made = choose(spec.choices, value);
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
  made.addEventListener("change", () => put(table, at, spec.name, read(), 0));
  if (made.type === "number") made.addEventListener("input", () => put(table, at, spec.name, read(), PAUSE));
  return made;
}

function field(table, at, spec) {
  const made = element("label", `field ${spec.name}`);
  made.title = spec.help;
  const input = control(table, at, spec);
  input.dataset.name = spec.name;
  input.ariaLabel = `${capital(spec.name)} of row ${at + 1}`;
  made.append(element("span", "name", capital(spec.name)), input);
  return made;
}

function line(table, at) {
  const row = table.rows[at];
  const made = element("li", "row");
  const grip = element("span", "grip", at + 1);
  grip.draggable = true;
  grip.title = "Drag to move, or Alt with an arrow key";
  const kind = element("label", "field kind");
  const titles = Object.fromEntries(Object.entries(table.kinds).map(([name, each]) => [name, each.title]));
  const select = choose(Object.keys(table.kinds), row.kind ?? "", titles);
  select.dataset.name = "kind";
  select.ariaLabel = `Kind of row ${at + 1}`;
  select.title = table.kinds[row.kind]?.help ?? "";
  select.addEventListener("change", () => turn(table, at, select.value));
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
    button.addEventListener("click", () => act(table, at, name));
    tools.append(button);
  }
  const fields = (table.kinds[row.kind]?.parameters ?? []).map((spec) => field(table, at, spec));
  made.append(grip, kind, ...fields, element("span", "gives"), element("span", "count"), tools,
    element("p", "mistake"));
  made.querySelector(".mistake").role = "alert";
  made.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step) return;
    event.preventDefault();
    move(table, at, at + step, event.target.dataset.name);
  });
  grip.addEventListener("dragstart", (event) => {
    table.dragged = at;
    event.dataTransfer.setData("text/plain", String(at + 1));
    event.dataTransfer.setDragImage(made, 0, 0);
  });
  made.addEventListener("dragover", (event) => {
    if (table.dragged === null) return;
    event.preventDefault();
    for (const each of table.list.children) each.classList.remove("above", "below");
    if (at !== table.dragged) made.classList.add(at < table.dragged ? "above" : "below");
  });
  made.addEventListener("drop", (event) => {
    event.preventDefault();
    if (table.dragged !== null) move(table, table.dragged, at, "kind");
  });
  grip.addEventListener("dragend", () => {
    table.dragged = null;
    for (const each of table.list.children) each.classList.remove("above", "below");
  });
  return made;
}

function build(table, at, name) {
  table.list.replaceChildren(...table.rows.map((_, each) => line(table, each)));
  annotate(table);
  if (at !== undefined) table.list.children[at]?.querySelector(`[data-name=${name}]`)?.focus();
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

function remember(table) {
  table.history.push(JSON.stringify(table.rows));
  if (table.history.length > 100) table.history.shift();
}

// Rows that add an earlier one keep to it when rows come, go and move: `places` tells where each row is now.
function arrange(table, rows, places) {
  remember(table);
  table.rows = rows.map((row) => {
    const from = row.kind === "add" ? row.from ?? 1 : 0;
    return Number.isInteger(from) && from >= 1 && from <= places.length ? { ...row, from: places[from - 1] + 1 }
      : { ...row };
  });
}

function move(table, from, to, name) {
  if (to < 0 || to >= table.rows.length || to === from) return;
  const order = table.rows.map((_, at) => at);
  order.splice(to, 0, ...order.splice(from, 1));
  arrange(table, order.map((at) => table.rows[at]), table.rows.map((_, at) => order.indexOf(at)));
  build(table, to, name);
  send(table);
}

function act(table, at, name) {
  const rows = [...table.rows];
  if (name === "up" || name === "down") return move(table, at, name === "up" ? at - 1 : at + 1, name);
  const [step, ...added] = name === "copy" ? [1, rows[at]] : [-1];
  rows.splice(name === "copy" ? at + 1 : at, name === "copy" ? 0 : 1, ...added);
  // What added a removed row now adds the one above, whose output goes on in its place.
  const places = table.rows.map((_, each) => (each > at || (step < 0 && each === at) ? Math.max(0, each + step) : each));
  arrange(table, rows, places);
  build(table, Math.min(step > 0 ? at + 1 : at, rows.length - 1), name === "copy" ? "kind" : name);
  return send(table);
}

function turn(table, at, kind) {
  const takes = new Set(table.kinds[kind].parameters.map(({ name }) => name));
  const kept = Object.entries(table.rows[at]).filter(([name]) => takes.has(name));
  remember(table);
  table.rows[at] = { kind, ...Object.fromEntries(kept) };
  build(table, at, "kind");
  send(table);
}

function put(table, at, name, value, wait) {
  clearTimeout(table.timer);
  if (table.rows[at][name] !== value) {
    if (table.typing !== `${at} ${name}`) remember(table);
    table.typing = `${at} ${name}`;
    table.rows[at] = { ...table.rows[at], [name]: value };
    table.unsent = true;
  }
  if (table.unsent) table.timer = setTimeout(() => send(table), wait);
}

function send(table) {
  clearTimeout(table.timer);
  table.unsent = false;
  table.number += 1;
  table.tell("edited", { rows: table.rows, number: table.number });
}

function filled(table, rows) {
  return JSON.stringify(rows.map((row) => {
    const specs = table.kinds[row.kind]?.parameters ?? [];
    return [row.kind, ...(specs.length ? specs.map(({ name, default: usual }) => row[name] ?? usual) : [row])];
  }));
}

function open(root) {
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
    unsent: false, typing: "", kinds: null, data: null, tell: null };
  add.addEventListener("change", () => {
    const kind = add.value;
    add.value = "";
    remember(table);
    table.rows = [...table.rows, { kind }];
    build(table, table.rows.length - 1, "kind");
    send(table);
  });
  undo.addEventListener("click", () => {
    table.rows = JSON.parse(table.history.pop());
    table.typing = "";
    build(table);
    send(table);
  });
  return table;
}

function name(table, kinds) {
  table.kinds = kinds;
  const specs = Object.values(kinds).flatMap(({ parameters }) => parameters);
  const heads = COLUMNS.map((column) => {
    const made = element("span", column, capital(column));
    made.title = specs.find((spec) => spec.name === column).help;
    return made;
  });
  table.head.ariaHidden = "true";
  table.head.replaceChildren(element("span", "grip", "Row"), element("span", "kind", "Kind"), ...heads,
    element("span", "gives", "Gives"), element("span", "count", "Parameters"));
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
  if (fresh) tables.set(parentElement, (table = open(parentElement)));
  table.tell = setTriggerValue;
  if (!table.kinds) name(table, data.kinds);
  if (fresh) table.number = data.answered;
  if (data.answered < table.number || table.unsent) return;
  table.data = data;
  if (!fresh && filled(table, data.rows) === filled(table, table.rows)) return annotate(table);
  if (!fresh) remember(table);
  table.rows = data.rows.map((row) => ({ ...row }));
  return build(table);
}
