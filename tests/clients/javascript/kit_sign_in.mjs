// fhir-kit-client in node, as an app that signs in: it finds the endpoints by the client's own smartAuthMetadata().
// The library has no code for the exchange itself, which its makers leave to the app; here that is node's own fetch.
// Prints where its user is to be sent, reads where they came back to, and prints one JSON object of what it saw.

import { createHash, randomBytes } from "node:crypto";
import { createInterface } from "node:readline/promises";

const { MEDLOCK_FHIR, MEDLOCK_CLIENT, MEDLOCK_REDIRECT, MEDLOCK_SCOPE, NODE_PATH } = process.env;
const { Client } = await import(`${NODE_PATH}/fhir-kit-client/dist/index.js`); // imports do not look at NODE_PATH

const client = new Client({ baseUrl: MEDLOCK_FHIR });
const { authorizeUrl, tokenUrl } = await client.smartAuthMetadata();
const verifier = randomBytes(48).toString("base64url");
const state = randomBytes(16).toString("base64url");

for (const [name, value] of Object.entries({
  response_type: "code",
  client_id: MEDLOCK_CLIENT,
  redirect_uri: MEDLOCK_REDIRECT,
  scope: MEDLOCK_SCOPE,
  aud: MEDLOCK_FHIR,
  state,
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
})) {
  authorizeUrl.searchParams.set(name, value);
}
process.stdout.write(`${authorizeUrl}\n`);

async function token(form) {
  const answer = await fetch(tokenUrl, { method: "POST", body: new URLSearchParams({ ...form, client_id: MEDLOCK_CLIENT }) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function status(request) {
  return request.then(() => 200, (error) => error.response.status);
}

const back = new URL(await createInterface({ input: process.stdin }).question(""));
if (back.searchParams.get("state") !== state) throw new Error("another state");
const first = await token({
  grant_type: "authorization_code",
  code: back.searchParams.get("code"),
  redirect_uri: MEDLOCK_REDIRECT,
  code_verifier: verifier,
});
client.bearerToken = first.access_token;
const patient = await client.read({ resourceType: "Patient", id: first.patient });
const found = await client.search({ resourceType: "Observation", searchParams: { patient: first.patient } });
const refused = await status(client.search({ resourceType: "Encounter", searchParams: { patient: first.patient } }));
const second = await token({ grant_type: "refresh_token", refresh_token: first.refresh_token });
client.bearerToken = second.access_token;
const again = await client.read({ resourceType: "Patient", id: first.patient });
const stranger = await status(client.read({ resourceType: "Patient", id: "bob" }));
process.stdout.write(
  JSON.stringify({
    patient,
    observations: found.entry.map((each) => each.resource.id).sort(),
    refused,
    again,
    stranger,
    renewed: first.access_token !== second.access_token,
  }),
);
process.exit(0);
