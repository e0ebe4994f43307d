// The same drawing read by several networks: one card each, with its answer and ten small columns.
const views = new WeakMap();

function card(name) {
  const made = element("button", "card");
  made.type = "button";
  made.dataset.name = name;
  const answer = element("div", "answer");
  answer.append(element("span", "digit"), element("span", "sure"));
  const columns = element("div", "columns");
  const digits = element("div", "digits");
  columns.ariaHidden = digits.ariaHidden = "true";
  for (let digit = 0; digit < 10; digit += 1) {
    const column = element("div", "column");
    column.append(element("div", "fill"));
    columns.append(column);
    digits.append(element("span", "", digit));
  }
  made.append(element("div", "name", name), element("div", "note"), answer, columns, digits);
  return made;
}

export default function ({ parentElement, data, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) {
    parentElement.querySelector(".verdicts")?.remove();
    view = element("div", "verdicts");
    parentElement.append(view);
    views.set(parentElement, view);
  }
  const names = data.entries.map((entry) => entry.name);
  if (names.join("\n") !== [...view.children].map((made) => made.dataset.name).join("\n")) {
    view.replaceChildren(...names.map(card));
  }
  data.entries.forEach(({ name, note, said, digit, probabilities }, at) => {
    const made = view.children[at];
    made.onclick = () => setTriggerValue("picked", name);
    made.ariaPressed = String(name === data.chosen);
    made.querySelector(".note").textContent = note;
    made.querySelector(".answer .digit").textContent = digit ?? "";
    made.querySelector(".sure").textContent = probabilities ? `${(100 * probabilities[digit]).toFixed(1)} %` : said;
    made.querySelectorAll(".column").forEach((column, each) => {
      column.classList.toggle("best", each === digit);
      column.firstChild.style.transform = `translateY(${100 - 100 * (probabilities ? probabilities[each] : 0)}%)`;
    });
  });
}
