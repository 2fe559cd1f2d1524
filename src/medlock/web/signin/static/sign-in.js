// Signing in and proving oneself again with a passkey: offered in the user name field while the page is open
// (conditional mediation), and by a button. Only one ceremony can be under way: the button ends the silent one.

import { able, supported, use } from "./passkeys.js";
import { fresh, send, tell } from "./asking.js";

const REFRESH = 4 * 60 * 1000; // sooner than the challenge dies

const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
let waiting = null;

function stop() {
  waiting?.abort();
  waiting = null;
}

async function offer() {
  stop();
  const mine = new AbortController();
  waiting = mine;
  const renewal = setTimeout(() => waiting === mine && offer(), REFRESH);
  try {
    const { ceremony, options } = await fresh(form);
    if (mine.signal.aborted) return;
    const credential = await use(options, { mediation: "conditional", signal: mine.signal });
    send(form, credential, ceremony);
  } catch (fault) {
    if (fault.name !== "AbortError") clearTimeout(renewal); // no silent offer then: the button is there
  }
}

async function ask() {
  stop();
  tell(form, "working");
  button.disabled = true;
  try {
    const { ceremony, options } = await fresh(form);
    send(form, await use(options), ceremony);
  } catch (fault) {
    button.disabled = false;
    tell(form, fault.name === "NotAllowedError" || fault.name === "AbortError" ? "stopped" : "failed");
    button.focus();
    if (form.dataset.passkey === "sign-in") await begin();
  }
}

async function begin() {
  if (await able("conditionalGet")) offer();
}

if (supported()) {
  button.addEventListener("click", ask);
  button.disabled = false;
  if (form.dataset.passkey === "sign-in") begin();
  // A page that comes back from the browser's cache brings a challenge of yesterday.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
} else {
  tell(form, "unsupported");
}
