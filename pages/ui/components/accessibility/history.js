// Back shows what was shown before: one entry of the browser's history for each page or link that was opened.
// Streamlit adds an entry whenever the server writes the query of the address, which happens several times while a
// page opens, before its path changes and after it. Its own widgets replace the address, and so does this.
function keepOneEntryPerLink() {
  const push = history.pushState.bind(history);
  const pathOf = (address) => new URL(address, location.href).pathname;
  let left = location.href; // the address when something was last clicked: that of a page that is being left
  let followed = false; // whether a link to another view of the same page was clicked
  let went = false; // whether Back or Forward was the last step: what the server still says of other pages is late

  function remember(event) {
    left = location.href;
    went = event.type === "popstate";
    const link = event.type === "click" ? event.target.closest?.("a[href]") : null;
    followed = Boolean(link) && link.href !== left && link.pathname === location.pathname;
  }
  for (const name of ["click", "keydown"]) document.addEventListener(name, remember, true);
  window.addEventListener("popstate", remember);

  history.pushState = (state, title, address) => {
    const arrives = !went && pathOf(address) !== location.pathname;
    if (arrives && pathOf(left) === location.pathname) history.replaceState(state, title, left);
    if (arrives || followed) push(state, title, address);
    else history.replaceState(state, title, address);
    followed = false;
  };
}
