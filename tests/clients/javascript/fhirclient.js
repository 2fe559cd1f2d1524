// The JavaScript fhirclient (SMART Health IT) in node, against the server named by the environment.
// Prints one JSON object of what it saw; test_javascript.py judges it.
"use strict";

const smart = require("fhirclient");

const { MEDLOCK_FHIR, MEDLOCK_TOKEN, MEDLOCK_PATIENT, MEDLOCK_PAGE } = process.env;

const storage = { get: async () => undefined, set: async (_key, value) => value, unset: async () => true };

function connect(token) {
  return smart({ headers: {} }, {}, storage).client({
    serverUrl: MEDLOCK_FHIR,
    tokenResponse: { access_token: token, token_type: "Bearer", patient: MEDLOCK_PATIENT },
  });
}

async function refusal(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { status: error.statusCode, message: error.message };
  }
}

async function reads(client) {
  const observations = `Observation?patient=${MEDLOCK_PATIENT}&_count=${MEDLOCK_PAGE}`;
  const flat = await client.request(observations, { pageLimit: 0, flat: true });
  const pages = [];
  await client.request(observations, { pageLimit: 0, onPage: (page) => void pages.push(page) });
  const resolved = await client.request(`Observation/${flat[0].id}`, { resolveReferences: "subject" });
  const own = await client.patient.request("Condition");
  return {
    patient: await client.patient.read(),
    ids: flat.map((each) => each.id),
    pages: pages.map((page) => page.entry.length),
    resolved: resolved.subject,
    conditions: (own.entry || []).map((each) => each.resource.id),
  };
}

async function writes(client) {
  const flag = {
    resourceType: "Flag",
    status: "active",
    code: { text: "by the JavaScript fhirclient" },
    subject: { reference: `Patient/${MEDLOCK_PATIENT}` },
  };
  const made = await client.create(flag);
  const changed = await client.update({ ...made, status: "inactive" });
  const stale = client.request({
    url: `Flag/${made.id}`,
    method: "PUT",
    headers: { "content-type": "application/fhir+json", "if-match": 'W/"1"' },
    body: JSON.stringify({ ...made, status: "active" }),
  });
  const precondition = await refusal(stale);
  const shown = await client.request(`Flag/${made.id}`);
  const patched = await client.patch(`Flag/${made.id}`, [
    { op: "test", path: "/status", value: "inactive" },
    { op: "replace", path: "/status", value: "entered-in-error" },
  ]);
  const astray = await refusal(client.patch(`Flag/${made.id}`, [{ op: "remove", path: "/period" }]));
  await client.delete(`Flag/${made.id}`);
  return { made, changed, precondition, shown, patched, astray, gone: await refusal(client.request(`Flag/${made.id}`)) };
}

async function refusals(client) {
  return {
    missing: await refusal(client.request("Patient/nobody-at-all")),
    mistyped: await refusal(client.request("Observation?patinet=1")),
    stranger: await refusal(connect("nonsense").request("Patient")),
  };
}

async function main() {
  const client = connect(MEDLOCK_TOKEN);
  const seen = { ...(await reads(client)), ...(await writes(client)), ...(await refusals(client)) };
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
