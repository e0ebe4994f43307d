// Tells Python whether the browser's tab is hidden, so that a page that nobody sees need not be updated. To Python: the
// state "hidden", only when it has changed.
const tabs = new WeakMap();

function watchTab(root) {
  const tab = { root, setState: null, sent: false };
  const send = () => {
    if (!tab.root.isConnected) return document.removeEventListener("visibilitychange", send);
    if (document.hidden === tab.sent) return;
    tab.sent = document.hidden;
    tab.setState("hidden", tab.sent);
  };
  document.addEventListener("visibilitychange", send);
  tab.send = send;
  return tab;
}

// Returns no clean-up function: Streamlit calls it for an outdated render too, while the tab is still watched.
export default function ({ parentElement, setStateValue }) {
  let tab = tabs.get(parentElement);
  if (!tab) tabs.set(parentElement, (tab = watchTab(parentElement)));
  tab.setState = setStateValue;
  tab.send();
}
