// A confusion matrix: a row for each label, a column for each answer, recall and precision at its edges. A cell that
// holds images can be picked; mistakes are shaded by their logarithm, so that one stands out beside a thousand.
const DIGITS = 10;
const views = new WeakMap();

function row(...children) {
  const made = element("div", "row");
  made.setAttribute("role", "row");
  made.append(...children);
  return made;
}

function head(text, role, className = "head") {
  const made = element("span", className, text);
  made.setAttribute("role", role);
  return made;
}

function said(label, answer, count) {
  const images = count === 1 ? "1 image" : `${count} images`;
  return label === answer ? `${label} read rightly: ${images}` : `${label} read as ${answer}: ${images}`;
}

// One stop for the Tab key; the arrows go from cell to cell.
function walk(view, event) {
  const cells = [...view.querySelectorAll("[role=gridcell].cell")];
  const at = cells.indexOf(event.target.closest(".cell"));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: DIGITS, ArrowUp: -DIGITS }[event.key];
  if (at < 0) return;
  if (event.key === "Enter" || event.key === " ") cells[at].click();
  else if (!step) return;
  event.preventDefault();
  const sideways = Math.abs(step ?? 0) === 1;
  const to = cells[at + (step ?? 0)];
  if (to && (!sideways || Math.floor(at / DIGITS) === Math.floor((at + step) / DIGITS))) {
    for (const each of cells) each.tabIndex = each === to ? 0 : -1;
    to.focus();
  }
}

function open(root) {
  root.querySelector(".matrix")?.remove();
  const view = element("div", "matrix");
  view.setAttribute("role", "grid");
  const digits = [...Array(DIGITS).keys()];
  view.append(row(head("", "columnheader"), ...digits.map((each) => head(each, "columnheader")),
    head("recall", "columnheader", "head edge")));
  for (const label of digits) {
    const cells = digits.map((answer) => {
      const made = element("span", label === answer ? "cell right" : "cell");
      made.setAttribute("role", "gridcell");
      made.tabIndex = -1;
      return made;
    });
    view.append(row(head(label, "rowheader"), ...cells, head("", "gridcell", "edge")));
  }
  view.append(row(head("precision", "rowheader"), ...digits.map(() => head("", "gridcell", "edge foot")),
    head("", "gridcell", "edge")));
  view.addEventListener("keydown", (event) => walk(view, event));
  root.append(view);
  return view;
}

export default function ({ parentElement, data, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = open(parentElement)));
  const { counts, precision, recall, picked, alt } = data;
  view.setAttribute("aria-label", alt);
  const most = Math.max(1, ...counts.flatMap((line, label) => line.filter((_, answer) => answer !== label)));
  const cells = [...view.querySelectorAll("[role=gridcell].cell")];
  const at = picked[0] === null || picked[1] === null ? 0 : DIGITS * picked[0] + picked[1];
  const focused = view.contains(view.getRootNode().activeElement);
  cells.forEach((cell, place) => {
    const label = Math.floor(place / DIGITS);
    const answer = place % DIGITS;
    const count = counts[label][answer];
    const wrong = label !== answer;
    cell.textContent = count || (wrong ? "·" : "0");
    cell.setAttribute("aria-label", said(label, answer, count));
    cell.classList.toggle("none", !count);
    cell.style.setProperty("--share", wrong && count ? `${14 + (56 * Math.log1p(count)) / Math.log1p(most)}%` : "0%");
    const within = (picked[0] === null || picked[0] === label) && (picked[1] === null || picked[1] === answer);
    cell.setAttribute("aria-selected", String(picked.some((each) => each !== null) && within));
    if (!focused) cell.tabIndex = place === at ? 0 : -1;
    cell.onclick = () => count && setTriggerValue("picked", [label, answer]);
  });
  view.querySelectorAll(".row").forEach((line, place) => {
    if (place > 0 && place <= DIGITS) line.lastChild.textContent = recall[place - 1];
    if (place > DIGITS) line.querySelectorAll(".foot").forEach((cell, each) => (cell.textContent = precision[each]));
  });
}
