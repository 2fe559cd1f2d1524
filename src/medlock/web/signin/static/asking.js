// Fresh options for one ceremony. The challenge in them is good once and for a few minutes.

export class Refused extends Error {}

export async function fresh(form, more = {}) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: new URLSearchParams({ csrf: form.elements.csrf.value, ...more }),
  });
  if (!answer.ok) throw new Refused(String(answer.status));
  return answer.json();
}

export function send(form, credential, ceremony) {
  form.elements.credential.value = JSON.stringify(credential);
  form.elements.ceremony.value = ceremony;
  form.submit();
}

// One of the sentences that the page brought along; which ones there are stands in its template.
export function tell(form, kind) {
  const place = form.querySelector("[data-told]");
  if (place) place.textContent = form.dataset[kind] ?? "";
}
