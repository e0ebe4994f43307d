// What Streamlit's own elements lack, added to the page around this component: names of progress bars, silent icons,
// spoken announcements, help that opens by tap, a menu that closes after a link on a phone, a history without
// doublets, the keyboard's way through popovers, and the theme for print.
// From Python and to Python: nothing.
const PHONE = "(max-width: 48rem)";
const TAP = 120; // ms
const HELP = '[data-testid="stTooltipIcon"]';

// Text for screen readers only, in a live region that outlives the elements of a page.
function makeSpeaker() {
  const speaker = element("div", "inkling-speaker");
  speaker.role = "status";
  speaker.ariaLive = "polite";
  Object.assign(speaker.style, { position: "fixed", width: "1px", height: "1px", overflow: "hidden",
    clipPath: "inset(50%)", whiteSpace: "nowrap" });
  document.body.append(speaker);
  return speaker;
}

function improve(state) {
  for (const bar of document.querySelectorAll('[role="progressbar"]')) {
    const name = bar.closest('[data-testid="stProgress"]')?.innerText.trim() || "Progress";
    if (bar.ariaLabel !== name) bar.ariaLabel = name;
  }
  // The words beside an icon say what it means.
  for (const icon of document.querySelectorAll('[role="img"][aria-label$=" icon"]:not([aria-hidden])')) {
    icon.ariaHidden = "true";
  }
  // A screen reader lists links and buttons without the heading beside them.
  for (const unnamed of document.querySelectorAll('a[aria-label="Link to heading"], button[aria-label="Help"]')) {
    const text = unnamed.closest('[data-testid="stMarkdown"], h1, h2, h3, h4')?.querySelector("[data-heading-text], p");
    const words = text?.firstChild?.textContent.trim(); // without the explanation in grey
    if (words) unnamed.ariaLabel = `${unnamed.matches("a") ? "Link to" : "Help for"} ${words}`;
  }
  // Arrow keys scroll a table with its cells; its scroller would be a second stop without a name.
  for (const scroller of document.querySelectorAll(".dvn-scroller:not([tabindex])")) scroller.tabIndex = -1;
  for (const grid of document.querySelectorAll('[data-testid="data-grid-canvas"]:not([aria-label])')) {
    grid.ariaLabel = grid.closest("[role=region][aria-label]")?.ariaLabel ?? "Table";
  }
  // What a page announces is spoken when it changes, not when the page is opened.
  const text = document.querySelector(".announcement")?.textContent ?? null;
  if (text && state.announcement !== null && text !== state.announcement) state.speaker.textContent = text;
  state.announcement = text;
}

// Streamlit opens help when a mouse is over it or the keyboard is on it, but ignores a finger.
function openHelp(event) {
  const help = event.pointerType === "touch" && event.target.closest?.(HELP)?.querySelector("button");
  if (!help) return;
  setTimeout(() => { // later than the mouse events that a browser makes of a tap, which are ignored
    for (const name of ["pointerover", "mouseover"]) {
      const Kind = name === "pointerover" ? PointerEvent : MouseEvent;
      help.dispatchEvent(new Kind(name, { bubbles: true, pointerType: "mouse", relatedTarget: document.body }));
    }
  }, TAP);
}

function closeMenu(event) {
  if (!matchMedia(PHONE).matches || !event.target.closest?.('[data-testid="stSidebar"] a')) return;
  const button = document.querySelector('[data-testid="stSidebarCollapseButton"] button');
  setTimeout(() => button?.click(), 0); // after the link
}

// Print needs to know what the style sheet cannot see: whether the theme is dark.
function markTheme() {
  const app = document.querySelector(".stApp");
  document.documentElement.toggleAttribute("data-dark", getComputedStyle(app).colorScheme === "dark");
}

function start() {
  const state = { speaker: makeSpeaker(), announcement: null, asked: false };
  const ask = () => {
    if (state.asked) return;
    state.asked = true;
    requestAnimationFrame(() => { state.asked = false; improve(state); });
  };
  new MutationObserver(ask).observe(document.body, { childList: true, subtree: true, characterData: true });
  document.addEventListener("click", closeMenu);
  document.addEventListener("click", openHelp);
  window.addEventListener("beforeprint", markTheme);
  document.addEventListener("keydown", leadThroughPopover, true);
  document.addEventListener("keydown", pressCell, true);
  keepOneEntryPerLink();
  keepFocus();
  improve(state);
  return state;
}

export default function () {
  window.inklingAccessibility ??= start();
}
