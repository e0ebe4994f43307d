// Tells Python which browser this is, by a random identifier in a cookie: on a shared server without sign-in, people
// may change what they started. To Python: the state "id", once. It is a secret; Python stores a hash.
const COOKIE = "inkling_browser";

function browserId() {
  const known = document.cookie.match(/(?:^|; )inkling_browser=([0-9a-f]{32})(?:;|$)/);
  if (known) return known[1];
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export default function ({ data, setStateValue }) {
  const id = browserId();
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${id}; path=/; max-age=31536000; SameSite=Lax${secure}`;
  if (data.known !== id) setStateValue("id", id);
}
