// A confusion matrix: labels in rows, predictions in columns, recall and precision at the edges. Errors are shaded by
// the logarithm of their number, so that a single one is visible beside a thousand.
// From Python: the counts, the texts at the edges, and the selected label and prediction (null selects all).
// To Python: the trigger "picked", [label, prediction] of a cell that has images.
const DIGITS = 10;
const views = new WeakMap();

function buildRow(...children) {
  const row = element("div", "row");
  row.setAttribute("role", "row");
  row.append(...children);
  return row;
}

function heading(text, role, className = "head") {
  const made = element("span", className, text);
  made.setAttribute("role", role);
  return made;
}

function describe(label, predicted, count) {
  const images = count === 1 ? "1 image" : `${count} images`;
  return label === predicted ? `${label} predicted correctly: ${images}` : `${label} predicted as ${predicted}: ${images}`;
}

// The matrix is one stop of the Tab key; arrow keys move between its cells.
function onKey(view, event) {
  const cells = [...view.querySelectorAll("[role=gridcell].cell")];
  const from = cells.indexOf(event.target.closest(".cell"));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: DIGITS, ArrowUp: -DIGITS }[event.key];
  if (from < 0) return;
  if (event.key === "Enter" || event.key === " ") cells[from].click();
  else if (!step) return;
  event.preventDefault();
  const sideways = Math.abs(step ?? 0) === 1;
  const target = cells[from + (step ?? 0)];
  if (target && (!sideways || Math.floor(from / DIGITS) === Math.floor((from + step) / DIGITS))) {
    for (const cell of cells) cell.tabIndex = cell === target ? 0 : -1;
    target.focus();
  }
}

function build() {
  const view = element("div", "matrix");
  view.setAttribute("role", "grid");
  const digits = [...Array(DIGITS).keys()];
  view.append(buildRow(heading("", "columnheader"), ...digits.map((digit) => heading(digit, "columnheader")),
    heading("recall", "columnheader", "head edge")));
  for (const label of digits) {
    const cells = digits.map((predicted) => {
      const cell = element("span", label === predicted ? "cell correct" : "cell");
      cell.setAttribute("role", "gridcell");
      cell.tabIndex = -1;
      return cell;
    });
    view.append(buildRow(heading(label, "rowheader"), ...cells, heading("", "gridcell", "edge")));
  }
  view.append(buildRow(heading("precision", "rowheader"), ...digits.map(() => heading("", "gridcell", "edge foot")),
    heading("", "gridcell", "edge")));
  view.addEventListener("keydown", (event) => onKey(view, event));
  return view;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = viewOf(views, parentElement, "matrix", build);
  const { counts, precision, recall, picked, alt } = data;
  view.setAttribute("aria-label", alt);
  const most = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, predicted) => predicted !== label)));
  const cells = [...view.querySelectorAll("[role=gridcell].cell")];
  const selected = picked[0] === null || picked[1] === null ? 0 : DIGITS * picked[0] + picked[1];
  const focused = view.contains(view.getRootNode().activeElement);
  cells.forEach((cell, index) => {
    const label = Math.floor(index / DIGITS);
    const predicted = index % DIGITS;
    const count = counts[label][predicted];
    const isError = label !== predicted;
    const shade = isError && count ? 14 + (56 * Math.log1p(count)) / Math.log1p(most) : 0;
    cell.textContent = count || (isError ? "·" : "0");
    cell.setAttribute("aria-label", describe(label, predicted, count));
    cell.classList.toggle("empty", !count);
    cell.style.setProperty("--share", `${shade}%`);
    const matches = (picked[0] === null || picked[0] === label) && (picked[1] === null || picked[1] === predicted);
    cell.setAttribute("aria-selected", String(picked.some((digit) => digit !== null) && matches));
    if (!focused) cell.tabIndex = index === selected ? 0 : -1;
    cell.onclick = () => count && setTriggerValue("picked", [label, predicted]);
  });
  view.querySelectorAll(".row").forEach((row, index) => {
    if (index > 0 && index <= DIGITS) row.lastChild.textContent = recall[index - 1];
    if (index > DIGITS) row.querySelectorAll(".foot").forEach((cell, digit) => (cell.textContent = precision[digit]));
  });
}
