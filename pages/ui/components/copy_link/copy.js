// A button that copies a link to this page. From Python: the query string to copy, or null for the address as it is, and
// whether the link is shown beside the button. The Clipboard API exists only on HTTPS and localhost, so a classroom's
// plain HTTP falls back to copying a selection.
const copiers = new WeakMap();

function buildCopier(root) {
  const view = element("div", "copy");
  const link = element("input", "link");
  link.readOnly = true;
  link.setAttribute("aria-label", "Link");
  link.addEventListener("focus", () => link.select());
  const button = element("button", "button", "Copy link");
  button.type = "button";
  const status = element("span", "status");
  status.setAttribute("role", "status");
  view.append(link, button, status);
  root.append(view);
  const copier = { view, link, button, status, query: null };
  button.addEventListener("click", async () => {
    const address = addressOf(copier.query);
    const copied = await copyText(address, copier);
    status.textContent = copied ? "Copied" : "Select the link and copy it";
    setTimeout(() => { status.textContent = ""; }, 4_000);
  });
  return copier;
}

function addressOf(query) {
  if (query === null) return location.href;
  return `${location.origin}${location.pathname}${query ? `?${query}` : ""}`;
}

async function copyText(text, { view, link }) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // not allowed, or no Clipboard API
    view.classList.add("shown");
    link.value = text;
    link.select();
    return document.execCommand("copy");
  }
}

export default function ({ parentElement, data }) {
  let copier = copiers.get(parentElement);
  if (!copier) copiers.set(parentElement, (copier = buildCopier(parentElement)));
  copier.query = data.query;
  copier.link.value = addressOf(data.query);
  copier.view.classList.toggle("shown", data.shown);
}
