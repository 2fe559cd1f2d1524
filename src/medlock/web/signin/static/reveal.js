// Small conveniences that a page does without: show a password, copy, print, bring a code from the address's fragment.

for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
}

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const places = document.querySelectorAll(button.dataset.copy);
    await navigator.clipboard.writeText([...places].map((each) => each.textContent.trim()).join("\n"));
    button.textContent = button.dataset.done;
  });
}

// All of it, or some parts instead: a tick at one takes the other away.
for (const line of document.querySelectorAll("[data-instead]")) {
  const [whole, ...parts] = line.querySelectorAll("input[type=checkbox]");
  line.addEventListener("change", (event) => {
    if (!event.target.checked) return;
    if (event.target === whole) for (const part of parts) part.checked = false;
    else whole.checked = false;
  });
}

// A fragment never reaches a server or a log; it is taken off the address at once.
const code = document.querySelector("[data-fragment]");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
}
