// Making a passkey: by a button, or offered by the browser right after a sign-in by password (conditional create).

import { able, make, supported } from "./passkeys.js";
import { fresh, send, tell } from "./asking.js";

const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
const silent = new AbortController();

const SENTENCES = { InvalidStateError: "present", NotAllowedError: "stopped", AbortError: "stopped" };

async function offer() {
  try {
    const { ceremony, options } = await fresh(form, { conditional: "yes" });
    const credential = await make(options, { mediation: "conditional", signal: silent.signal });
    send(form, credential, ceremony);
  } catch {
    // The browser did not want to: the button is there.
  }
}

async function ask() {
  silent.abort();
  tell(form, "working");
  button.disabled = true;
  try {
    const { ceremony, options } = await fresh(form);
    send(form, await make(options), ceremony);
  } catch (fault) {
    button.disabled = false;
    tell(form, SENTENCES[fault.name] ?? "failed");
    button.focus();
  }
}

if (supported()) {
  button.addEventListener("click", ask);
  button.disabled = false;
  if (form.dataset.passkey === "offer" && (await able("conditionalCreate"))) offer();
} else {
  tell(form, "unsupported");
}
