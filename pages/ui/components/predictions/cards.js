// Predictions of several networks for the same digit: one card each, with the digit and ten small columns.
// From Python: the cards and the name of the selected one. To Python: the trigger "picked", a card's name.
const views = new WeakMap();

function buildCard(name) {
  const card = element("button", "card");
  card.type = "button";
  card.dataset.name = name;
  const prediction = element("div", "prediction");
  prediction.append(element("span", "digit"), element("span", "probability"));
  const columns = element("div", "columns");
  const digits = element("div", "digits");
  columns.ariaHidden = digits.ariaHidden = "true";
  for (let digit = 0; digit < 10; digit += 1) {
    const column = element("div", "column");
    column.append(element("div", "fill"));
    columns.append(column);
    digits.append(element("span", "", digit));
  }
  card.append(element("div", "name"), element("div", "note"), prediction, columns, digits);
  return card;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = viewOf(views, parentElement, "cards");
  const names = data.cards.map((card) => card.name);
  if (names.join("\n") !== [...view.children].map((card) => card.dataset.name).join("\n")) {
    view.replaceChildren(...names.map(buildCard));
  }
  data.cards.forEach(({ name, title, note, message, digit, probabilities }, index) => {
    const card = view.children[index];
    card.onclick = () => setTriggerValue("picked", name);
    card.ariaPressed = String(name === data.selected);
    card.querySelector(".name").textContent = title;
    card.querySelector(".note").textContent = note;
    card.querySelector(".digit").textContent = digit ?? "";
    card.querySelector(".probability").textContent =
      probabilities ? `${(100 * probabilities[digit]).toFixed(1)} %` : message;
    card.querySelectorAll(".column").forEach((column, place) => {
      column.classList.toggle("best", place === digit);
      const share = probabilities ? probabilities[place] : 0;
      column.firstChild.style.transform = `translateY(${100 - 100 * share}%)`;
    });
  });
}
