// The kernels of a network's rows as small pictures: blue above zero, orange below, on one scale. A filter is a line of
// kernels, one for each input channel; the pointer or the arrow keys name a weight, a click shows its filter's numbers.
// From Python: the rows, each with its weights (base64 of float32), texts and figures. Sends nothing.
const LABEL = 48; // px at the left of each filter
const views = new WeakMap();

function decode(text) {
  return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

function format(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < 1e-4 || size >= 1e5 ? value.toExponential(2) : value.toPrecision(digits);
  return text.replaceAll("-", "\u2212");
}

// Sizes in px: of a weight, and of the gaps between kernels and between filters; filters stand abreast where they fit.
function layOut([filters, inputs, height, width], room) {
  const single = height * width === 1;
  const gap = single ? 1 : 3;
  const largest = single ? 14 : height <= 7 ? 11 : Math.max(3, Math.floor(112 / width));
  const fitting = Math.floor(((room - LABEL) / inputs - gap) / width);
  const side = Math.max(2, Math.min(largest, fitting));
  const wide = LABEL + inputs * (width * side + gap);
  const abreast = Math.max(1, Math.min(filters, Math.floor((room + 12) / (wide + 12))));
  const tall = Math.max(height * side, 10) + (single ? 1 : 6);
  const lines = Math.ceil(filters / abreast);
  return { side, gap, abreast, wide, tall, width: abreast * (wide + 12) - 12, height: lines * tall };
}

function cornerOf(row, filter, input) {
  const { place, shape } = row;
  return [
    (filter % place.abreast) * (place.wide + 12) + LABEL + input * (shape[3] * place.side + place.gap),
    Math.floor(filter / place.abreast) * place.tall,
  ];
}

function paint(row, colours) {
  const { canvas, place, shape, values, data } = row;
  const [filters, inputs, height, width] = shape;
  const density = Math.min(window.devicePixelRatio || 1, 8000 / Math.max(place.width, place.height), 2);
  canvas.width = Math.round(place.width * density);
  canvas.height = Math.round(place.height * density);
  canvas.style.width = `${place.width}px`;
  canvas.style.height = `${place.height}px`;
  const context = canvas.getContext("2d");
  context.scale(density, density);
  let at = 0;
  for (let filter = 0; filter < filters; filter++) {
    for (let input = 0; input < inputs; input++) {
      const [left, top] = cornerOf(row, filter, input);
      context.globalAlpha = 0.12;
      context.fillStyle = "#808080";
      context.fillRect(left, top, width * place.side, height * place.side);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const value = values[at++];
          context.globalAlpha = Math.min(1, Math.abs(value) / data.limit);
          context.fillStyle = colours[value < 0 ? 1 : 0];
          context.fillRect(left + x * place.side, top + y * place.side, place.side, place.side);
        }
      }
    }
  }
}

// Whole percents, but neither 0 nor 100 for what is neither.
function roundShare(share) {
  return (share > 0 && share < 1) || (share > 99 && share < 100) ? Number(share.toPrecision(share < 1 ? 1 : 3)) : Math.round(share);
}

function nameOf({ data }, filter) {
  return `${data.noun} ${data.labels[filter]}`;
}

function capitalise(text) {
  return text[0].toUpperCase() + text.slice(1);
}

// The words below a picture: the weight under the cursor.
function pointAt(row, place) {
  row.cursor = place;
  const outline = row.section.querySelector(".cursor");
  outline.hidden = !place;
  const words = row.section.querySelector(".value");
  if (!place) return (words.textContent = "");
  const [filter, input, y, x] = place;
  const [left, top] = cornerOf(row, filter, input);
  const { side } = row.place;
  Object.assign(outline.style, {
    left: `${left + x * side - 1}px`, top: `${top + y * side - 1}px`, width: `${side + 2}px`, height: `${side + 2}px`,
  });
  const [, inputs, height, width] = row.shape;
  const value = row.values[((filter * inputs + input) * height + y) * width + x];
  const parts = [capitalise(nameOf(row, filter))];
  if (inputs > 1) parts.push(`input channel ${input + 1}`);
  if (height * width > 1) parts.push(`line ${y + 1}, column ${x + 1}`);
  const fires = row.data.fires.length ? ` It is above zero in ${row.data.fires[filter]} %.` : "";
  words.textContent = `${parts.join(", ")}: ${format(value)}.${fires}`;
}

function weightAt(row, x, y) {
  const { place, shape } = row;
  const [filters, inputs, height, width] = shape;
  const column = Math.min(place.abreast - 1, Math.floor(x / (place.wide + 12)));
  const filter = Math.floor(y / place.tall) * place.abreast + column;
  const inside = x - column * (place.wide + 12) - LABEL;
  const pitch = width * place.side + place.gap;
  const input = Math.floor(inside / pitch);
  const cell = [Math.floor((y % place.tall) / place.side), Math.floor((inside - input * pitch) / place.side)];
  if (inside < 0 || filter >= filters || input >= inputs || cell[0] >= height || cell[1] >= width) return null;
  return [filter, input, ...cell];
}

// Left and right go through the columns of all kernels of a filter, up and down through the lines of all filters.
function move(row, [filter, input, y, x], key) {
  const [filters, inputs, height, width] = row.shape;
  const across = input * width + x + ({ ArrowRight: 1, ArrowLeft: -1 }[key] ?? 0);
  const along = filter * height + y + ({ ArrowDown: 1, ArrowUp: -1, PageDown: height, PageUp: -height }[key] ?? 0);
  if (across < 0 || across >= inputs * width || along < 0 || along >= filters * height) return [filter, input, y, x];
  return [Math.floor(along / height), Math.floor(across / width), along % height, across % width];
}

function showTable(row, filter) {
  row.section.querySelector("select").selectedIndex = filter;
  row.filter = filter;
  if (!row.section.querySelector("details").open) return;
  const [, inputs, height, width] = row.shape;
  const small = height * width <= 25; // a kernel in a line of the table
  const table = element("table", "");
  const head = element("tr", "");
  const columns = small
    ? [...Array(height * width).keys()].map((at) =>
        height * width === 1 ? "weight" : `${Math.floor(at / width) + 1}, ${(at % width) + 1}`)
    : [...Array(width).keys()].map((at) => String(at + 1));
  for (const text of [small ? "input channel" : "channel, line", ...columns]) {
    const cell = element("th", "", text);
    cell.scope = "col";
    head.append(cell);
  }
  const start = filter * inputs * height * width;
  const lines = small ? inputs : inputs * height;
  const body = element("tbody", "");
  for (let line = 0; line < lines; line++) {
    const tr = element("tr", "");
    const name = small ? `${line + 1}` : `${Math.floor(line / height) + 1}, ${(line % height) + 1}`;
    const th = element("th", "", name);
    th.scope = "row";
    tr.append(th);
    columns.forEach((_, at) => tr.append(element("td", "", format(row.values[start + line * columns.length + at]))));
    body.append(tr);
  }
  const thead = element("thead", "");
  thead.append(head);
  table.append(element("caption", "", `Weights of ${nameOf(row, filter)}`), thead, body);
  const sheet = row.section.querySelector(".sheet");
  sheet.replaceChildren(table);
  const others = Object.entries(row.data.numbers).map(([name, values]) => `${name} ${format(values[filter])}`);
  row.section.querySelector(".others").textContent = others.length ? `${capitalise(others.join(", "))}.` : "";
}

function drawHistogram(bins, colours, alt) {
  const most = Math.max(1, ...bins);
  const figure = element("div", "histogram");
  figure.setAttribute("role", "img");
  figure.setAttribute("aria-label", alt);
  const middle = (bins.length - 1) / 2;
  bins.forEach((count, at) => {
    const bar = element("i", "");
    bar.style.height = count ? `${Math.max(3, (100 * count) / most)}%` : "0";
    bar.style.background = at === middle ? "currentColor" : colours[at < middle ? 1 : 0];
    figure.append(bar);
  });
  return figure;
}

function drawLabels(row) {
  const { place, data, shape } = row;
  const labels = data.labels.slice(0, shape[0]).map((label, filter) => {
    const [left, top] = cornerOf(row, filter, 0);
    const mark = data.marks[filter] ?? "";
    const made = element("span", mark ? `name ${mark.replace(/ .*/, "")}` : "name");
    made.append(element("span", "", label));
    const room = place.tall >= 26 && data.fires.length;
    if (mark && place.tall >= 26) made.append(element("small", "", mark));
    else if (room) made.append(element("small", "", `${roundShare(data.fires[filter])} %`));
    Object.assign(made.style, { left: `${left - LABEL}px`, top: `${top}px`, fontSize: `${Math.min(12, place.tall - 1)}px` });
    made.title = data.fires.length ? `${nameOf(row, filter)}: above zero in ${data.fires[filter]} %` : "";
    return made;
  });
  row.section.querySelector(".names").replaceChildren(...labels);
}

function refresh(view, row) {
  const room = row.section.querySelector(".picture").clientWidth;
  if (!room) return;
  row.place = layOut(row.shape, room);
  paint(row, view.data.colours);
  drawLabels(row);
  pointAt(row, row.cursor);
}

function buildRow(view) {
  const section = element("section", "row");
  const row = { section, cursor: null, filter: 0 };
  const heading = element("div", "heading");
  heading.append(element("span", "title"), element("span", "quiet"));
  const picture = element("div", "picture");
  const frame = element("div", "frame");
  const canvas = element("canvas", "");
  Object.assign(canvas, { tabIndex: 0, role: "img" });
  const outline = element("div", "cursor");
  outline.hidden = true;
  const names = element("div", "names");
  names.ariaHidden = "true";
  frame.append(canvas, names, outline);
  picture.append(frame);
  const value = element("div", "value");
  value.ariaLive = "polite";
  const details = element("details", "");
  const label = element("label", "", "Numbers of ");
  label.append(element("select", ""));
  const sheet = element("div", "sheet");
  Object.assign(sheet, { tabIndex: 0, role: "region", ariaLabel: "Weights as a table" });
  details.append(element("summary", "", "Numbers"), label, element("p", "others"), sheet);
  const side = element("div", "side");
  const main = element("div", "main");
  main.append(picture, value, details);
  section.append(heading, main, side);
  row.canvas = canvas;

  const pointer = (event) => {
    const box = canvas.getBoundingClientRect();
    return weightAt(row, event.clientX - box.left, event.clientY - box.top);
  };
  canvas.addEventListener("pointermove", (event) => pointAt(row, pointer(event)));
  canvas.addEventListener("pointerleave", () => pointAt(row, null));
  canvas.addEventListener("blur", () => pointAt(row, null));
  const open = (filter) => {
    details.open = true;
    showTable(row, filter);
  };
  canvas.addEventListener("click", (event) => {
    const place = pointer(event);
    pointAt(row, place);
    if (place) open(place[0]);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && row.cursor) return open(row.cursor[0]);
    if (!/^(Arrow|Page)/.test(event.key)) return;
    event.preventDefault();
    pointAt(row, row.cursor ? move(row, row.cursor, event.key) : [0, 0, 0, 0]);
    outline.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  details.addEventListener("toggle", () => showTable(row, row.filter));
  details.querySelector("select").addEventListener("change", (event) => showTable(row, event.target.selectedIndex));
  view.watcher.observe(picture);
  return row;
}

function fill(view, row, data) {
  const hasChanged = JSON.stringify(row.data?.shape) !== JSON.stringify(data.shape) || row.data?.title !== data.title;
  Object.assign(row, { data, shape: data.shape, values: decode(data.values) });
  if (hasChanged) Object.assign(row, { cursor: null, filter: 0 });
  const { section } = row;
  section.setAttribute("aria-label", data.title);
  section.querySelector(".title").textContent = data.title;
  section.querySelector(".quiet").textContent = data.note;
  row.canvas.setAttribute("aria-label", data.alt);
  const select = section.querySelector("select");
  select.replaceChildren(...data.labels.map((_, filter) => {
    const fires = data.fires.length ? `, above zero in ${data.fires[filter]} %` : "";
    return new Option(`${nameOf(row, filter)}${fires}`);
  }));
  const facts = element("ul", "facts");
  facts.append(...data.facts.map((fact) => element("li", "", fact)));
  const side = section.querySelector(".side");
  const alt = `Histogram of the weights, from \u2212${format(data.end, 3)} to ${format(data.end, 3)}`;
  side.replaceChildren(drawHistogram(data.bins, view.data.colours, alt), facts);
  refresh(view, row);
  showTable(row, Math.min(row.filter, data.labels.length - 1));
}

function build() {
  const view = element("div", "kernels");
  view.rows = [];
  view.watcher = new ResizeObserver(() => {
    const room = view.clientWidth;
    if (room === view.room) return;
    view.room = room;
    view.rows.forEach((row) => refresh(view, row));
  });
  return view;
}

export default function ({ parentElement, data }) {
  const view = viewOf(views, parentElement, "kernels", build);
  const drawn = JSON.stringify(data);
  if (view.drawn === drawn) return;
  view.drawn = drawn;
  view.data = data;
  while (view.rows.length > data.rows.length) view.rows.pop().section.remove();
  data.rows.forEach((rowData, index) => {
    if (!view.rows[index]) {
      view.rows.push(buildRow(view));
      view.append(view.rows[index].section);
    }
    fill(view, view.rows[index], rowData);
  });
}
