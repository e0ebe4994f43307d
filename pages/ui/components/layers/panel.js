// The explanation of the chosen cell. `view` has `step(cell)`, `back(steps)`, `choose(cell, focus)` and `open(index)`.
const MAX_ABREAST = 5; // wider kernels are shown without their numbers
const MAX_ALONE = 8;

function buildGrid(tag, values, { height, width }, { scale, title, numbered, describe }) {
  const figure = element("div", "part");
  const grid = element("div", numbered ? "numbers" : "numbers bare");
  grid.style.setProperty("--columns", width);
  grid.style.setProperty("--lines", height);
  values.forEach((value, index) => {
    const made = element(tag, "number", numbered ? short(value) : "");
    shade(made, value, scale);
    if (tag === "button") {
      made.type = "button";
      made.ariaLabel = describe(index);
    }
    grid.append(made);
  });
  if (tag !== "button") grid.ariaHidden = "true";
  figure.append(element("span", "caption", title), grid);
  return figure;
}

function cellIn({ row, channel, top, left, width }, index) {
  return [row, channel, top + Math.floor(index / width), left + (index % width)];
}

function isPadding(view, patch, index) {
  const [row, , y, x] = cellIn(patch, index);
  const [, height, width] = view.data.rows[row].shape;
  return y < 0 || x < 0 || y >= height || x >= width;
}

// The index of the value that a walk back would follow: the one that is kept, or the largest product.
function strongestIn(view, patch, picked) {
  if (picked !== null) return picked;
  const { values, weights } = patch;
  const sizes = values.map((value, index) =>
    isPadding(view, patch, index) ? -1 : Math.abs(weights ? value * weights[index] : value));
  return sizes.indexOf(Math.max(...sizes));
}

// One channel: its values, the weights, their products and the sum of these.
function buildPatch(view, { picked, kind }, patch) {
  const { values, weights, width } = patch;
  const products = weights && values.map((value, index) => value * weights[index]);
  const numbered = width <= (weights ? MAX_ABREAST : MAX_ALONE);
  const section = element("div", "patch");
  const line = element("div", "line");
  const note = element("p", "aside");
  const describe = (index) => {
    const [, , y, x] = cellIn(patch, index);
    const place = isPadding(view, patch, index) ? "Outside the image" : `Line ${y + 1}, column ${x + 1}`;
    const product = weights ? ` × ${long(weights[index])} = ${long(products[index])}` : "";
    return `${place}: ${long(values[index])}${product}`;
  };
  const source = sourceOf(view, patch);
  const inputs = buildGrid("button", values, patch,
    { scale: view.data.scales[patch.row], title: source, numbered, describe });
  line.append(inputs);
  if (weights) {
    const kernel = buildGrid("span", weights, patch,
      { scale: largest(weights), title: kind === "conv" ? "kernel" : "weights", numbered });
    const results = buildGrid("span", products, patch, { scale: largest(products), title: "products", numbered });
    line.append(element("span", "sign", "×"), kernel, element("span", "sign", "="), results);
  }
  const grids = [...line.querySelectorAll(".numbers")];
  const total = patchTotal(patch);
  const rest = weights ? `Sum of ${count(values.length, "product")}: ${long(total)}` : "";
  const light = (index) => {
    for (const grid of grids) {
      [...grid.children].forEach((made, at) => made.classList.toggle("lit", at === index));
    }
    note.textContent = index < 0 ? rest : describe(index);
  };
  const buttons = [...grids[0].children];
  buttons.forEach((button, index) => {
    if (isPadding(view, patch, index)) {
      button.classList.add("padding");
      button.setAttribute("aria-disabled", "true");
    } else button.onclick = () => view.step(cellIn(patch, index));
    if (index === picked) button.classList.add("picked");
  });
  for (const grid of grids) {
    grid.onpointerover = (event) => light([...grid.children].indexOf(event.target));
    grid.onpointerleave = () => light(-1);
  }
  grids[0].addEventListener("focusin", (event) => light(buttons.indexOf(event.target)));
  grids[0].addEventListener("focusout", () => light(-1));
  grids[0].setAttribute("role", "group");
  grids[0].ariaLabel = `${count(values.length, "value")} of ${source}. Arrow keys move, Enter steps to a value.`;
  const strongest = strongestIn(view, patch, picked);
  buttons[strongest].classList.add("strongest");
  rove(grids[0], width, strongest);
  light(-1);
  section.append(line, note);
  return section;
}

// All channels as small pictures, each with its sum; a click opens one.
function buildChannels(view, explanation, open) {
  const { patches, others } = explanation;
  const group = element("div", "channels");
  group.setAttribute("role", "group");
  group.ariaLabel = "The channels that the cell sees. Arrow keys move, Enter opens one.";
  const weightScale = Math.max(...patches.map(({ weights }) => largest(weights)));
  const products = patches.map(({ values, weights }) => values.map((value, index) => value * weights[index]));
  const productScale = Math.max(...products.map(largest));
  patches.forEach((patch, index) => {
    const total = short(patchTotal(patch));
    const card = element("button", "channel");
    card.type = "button";
    card.ariaPressed = String(patch === open);
    card.ariaLabel = `Channel ${patch.channel + 1}: its products sum to ${total}`;
    card.append(element("span", "quiet", patch.channel + 1),
      paint(patch.values, patch.width, view.data.scales[patch.row]), element("span", "quiet", "×"),
      paint(patch.weights, patch.width, weightScale), element("span", "quiet", "="),
      paint(products[index], patch.width, productScale), element("span", "total", total));
    card.onclick = () => view.open(index);
    group.append(card);
  });
  rove(group, 1, patches.indexOf(open));
  const section = element("div", "all");
  section.append(element("span", "caption", "all channels, and the sum of each"), group);
  if (others.count) section.append(describeOthers(others));
  return section;
}

function describeOthers({ count: number, total }) {
  return element("p", "aside", `and ${count(number, "channel")} with smaller sums, together ${long(total)}`);
}

// Patches of one value each, as a table.
function buildSingles(view, { patches, others, kind }) {
  const table = element("table", "singles");
  const most = Math.max(...patches.map((patch) => Math.abs(patchTotal(patch))));
  for (const patch of patches) {
    const { row, channel, values: [value], weights } = patch;
    const line = element("tr", "");
    const name = element("th", "");
    name.scope = "row";
    const cell = cellIn(patch, 0);
    const text = kind === "add" ? sourceOf(view, patch) : row === 0 ? "pixel" : `channel ${channel + 1}`;
    const button = element("button", "link", text);
    button.type = "button";
    button.ariaLabel = `${nameOf(view, cell)}: ${long(value)}. Step to it.`;
    if (isPadding(view, patch, 0)) button.disabled = true;
    else button.onclick = () => view.step(cell);
    name.append(button);
    line.append(name, element("td", "", long(value)));
    if (weights) {
      const product = value * weights[0];
      const bar = element("td", "bar");
      const filled = element("span", "");
      shade(filled, product, 0);
      filled.style.width = `${(100 * Math.abs(product)) / (most || 1)}%`;
      bar.append(filled);
      line.append(element("td", "", `× ${long(weights[0])}`), element("td", "", `= ${long(product)}`), bar);
    }
    table.append(line);
  }
  const sizes = patches.map((patch) => Math.abs(patchTotal(patch)));
  rove(table, 1, sizes.indexOf(Math.max(...sizes)));
  table.querySelector("button[tabindex='0']")?.classList.add("strongest");
  const section = element("div", "sheet");
  section.append(table);
  if (others.count) section.append(describeOthers(others));
  return section;
}

function buildSteps(explanation) {
  const table = element("table", "steps");
  table.ariaLabel = "The calculation, step by step";
  for (const [words, operation, result] of listSteps(explanation)) {
    const line = element("tr", "");
    const name = element("th", "", words);
    name.scope = "row";
    line.append(name, element("td", "operation", operation), element("td", "result", result));
    table.append(line);
  }
  const section = element("div", "ladder");
  section.append(table);
  if (explanation.norm) section.append(element("p", "aside", foldedInWords(explanation)));
  return section;
}

// The ten scores and their softmax.
function buildScores(view, [row, chosen]) {
  const { scores } = view.data;
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  const table = element("table", "scores");
  const head = element("tr", "");
  head.append(...["digit", "score", "e to the score", "softmax", ""].map((text) => element("th", "", text)));
  table.append(head);
  scores.forEach((score, digit) => {
    const line = element("tr", digit === chosen ? "chosen" : "");
    const name = element("th", "");
    name.scope = "row";
    const button = element("button", "link", String(digit));
    button.type = "button";
    button.ariaLabel = `Explain the score of ${digit}`;
    button.onclick = () => view.choose([row, digit, 0, 0], ".scores .chosen button");
    name.append(button);
    const bar = element("td", "bar");
    const filled = element("span", "above");
    filled.style.setProperty("--shade", "100%");
    filled.style.width = `${(100 * powers[digit]) / sum}%`;
    if (powers[digit] > 0.001 * sum) bar.append(filled);
    const power = Math.exp(score);
    line.append(name, element("td", "", formatNumber(score.toFixed(2))),
      element("td", "", Number.isFinite(power) ? formatPower(power) : "very large"),
      element("td", "", percent(powers[digit] / sum)), bar);
    table.append(line);
  });
  rove(table, 1, chosen);
  const section = element("div", "softmax");
  section.append(element("span", "caption", "from scores to probabilities: softmax"), table,
    element("p", "aside", "e is 2.718… To the power of a score it is never negative. Divided by the sum of all ten, "
      + "it is the probability of the digit."));
  return section;
}

function formatPower(power) {
  if (power < 1e6) return power.toLocaleString("en", { maximumSignificantDigits: power < 1 ? 2 : 3 });
  const [digits, exponent] = power.toExponential(1).split("e+");
  return `${digits} × 10${[...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}

function buildTrail(view) {
  const trail = element("nav", "trail");
  trail.ariaLabel = "Steps back to the image";
  if (!view.trail.length) {
    trail.append(element("span", "quiet", "Click a value to step back to what it is made of."));
    return trail;
  }
  view.trail.forEach((cell, index) => {
    const button = element("button", "link", shortNameOf(view, cell));
    button.type = "button";
    button.title = nameOf(view, cell);
    button.ariaLabel = `Back to ${nameOf(view, cell)}`;
    button.onclick = () => view.back(view.trail.length - index);
    trail.append(button, element("span", "quiet", "›"));
  });
  const here = element("span", "", shortNameOf(view, view.cell));
  here.ariaCurrent = "step";
  trail.append(here);
  return trail;
}
