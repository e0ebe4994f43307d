// A slider over the kept epochs of a run, with a play button.
// From Python: epochs, a label and a note for each, and the epoch that the page shows. To Python: the trigger "epoch".
const PAUSE = 450; // ms between two epochs while playing
const SETTLE = 120; // ms after the last movement of the slider
const PLAY = "M8 5v14l11-7z";
const STOP = "M6 5h4v14H6zM14 5h4v14h-4z";
const views = new WeakMap();

function build() {
  const view = element("div", "rewind");
  const button = element("button", "play");
  button.type = "button";
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  icon.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  button.append(icon);
  const slider = element("input", "slider");
  slider.type = "range";
  slider.min = 0;
  slider.step = 1;
  slider.ariaLabel = "Epoch of the weights";
  const words = element("span", "words");
  words.append(element("span", "label"), element("span", "note"));
  view.append(button, slider, words);
  return view;
}

function showPlaying(view, playing) {
  view.playing = playing;
  view.querySelector("path").setAttribute("d", playing ? STOP : PLAY);
  view.querySelector(".play").ariaLabel = playing ? "Stop" : "Play the epochs";
}

// What the slider says at its place; the page follows when Python has answered.
function showPlace(view, place) {
  const { labels, notes, epochs } = view.data;
  const slider = view.querySelector(".slider");
  slider.value = place;
  slider.style.setProperty("--share", `${(100 * place) / (epochs.length - 1)}%`);
  slider.setAttribute("aria-valuetext", [labels[place], notes[place]].filter(Boolean).join(", "));
  view.querySelector(".label").textContent = labels[place];
  view.querySelector(".note").textContent = notes[place];
}

function send(view, place) {
  showPlace(view, place);
  view.sent = view.data.epochs[place];
  if (view.sent === view.data.shown) return;
  view.send("epoch", view.sent);
}

function step(view) {
  if (!view.playing || !view.isConnected) return;
  const place = Number(view.querySelector(".slider").value) + 1;
  if (place >= view.data.epochs.length) return showPlaying(view, false);
  send(view, place);
  if (place === view.data.epochs.length - 1) showPlaying(view, false);
}

function connect(view) {
  const slider = view.querySelector(".slider");
  slider.oninput = () => {
    showPlaying(view, false);
    clearTimeout(view.timer);
    showPlace(view, Number(slider.value));
    view.timer = setTimeout(() => send(view, Number(slider.value)), SETTLE);
  };
  view.querySelector(".play").onclick = () => {
    clearTimeout(view.timer);
    showPlaying(view, !view.playing);
    if (!view.playing) return;
    const isAtEnd = Number(slider.value) === view.data.epochs.length - 1;
    if (isAtEnd) send(view, 0);
    else step(view);
  };
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = viewOf(views, parentElement, "rewind", build);
  const isNew = !view.data;
  const hasChanged = JSON.stringify(view.data?.epochs) !== JSON.stringify(data.epochs);
  view.data = data;
  view.send = setTriggerValue;
  if (isNew) {
    showPlaying(view, false);
    connect(view);
  }
  const slider = view.querySelector(".slider");
  slider.max = data.epochs.length - 1;
  // While the slider has moved on, an answer to an earlier place does not move it back.
  const isAnswer = view.sent === undefined || view.sent === data.shown;
  if (isAnswer || isNew || hasChanged) {
    view.sent = undefined;
    showPlace(view, data.epochs.indexOf(data.shown));
    if (view.playing) {
      clearTimeout(view.timer);
      view.timer = setTimeout(() => step(view), PAUSE);
    }
  }
}
