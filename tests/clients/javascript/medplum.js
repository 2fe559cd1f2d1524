// @medplum/core in node, against the server named by the environment.
// Prints one JSON object of what it saw; test_medplum.py judges it.
"use strict";

const { MedplumClient } = require("@medplum/core");

const { MEDLOCK_FHIR, MEDLOCK_TOKEN, MEDLOCK_PATIENT, MEDLOCK_PAGE } = process.env;
const PATIENT = { reference: `Patient/${MEDLOCK_PATIENT}` };

function connect(accessToken) {
  const [baseUrl] = MEDLOCK_FHIR.split("fhir");
  return new MedplumClient({ baseUrl, fhirUrlPath: "fhir", fetch, accessToken });
}

const ids = (bundle) => (bundle.entry || []).map((each) => each.resource.id);

function flag(text, more = {}) {
  return { resourceType: "Flag", status: "active", code: { text }, subject: PATIENT, ...more };
}

async function refusal(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { outcome: error.outcome || null, message: error.message };
  }
}

async function paged(client) {
  const pages = [];
  const query = { patient: MEDLOCK_PATIENT, _count: MEDLOCK_PAGE };
  for await (const page of client.searchResourcePages("Observation", query)) {
    pages.push(page.map((each) => each.id));
  }
  return pages;
}

async function reads(client) {
  const patient = await client.readResource("Patient", MEDLOCK_PATIENT);
  const form = new URLSearchParams({ patient: MEDLOCK_PATIENT });
  const posted = client.post(client.fhirUrl("Condition", "_search"), form.toString(), "application/x-www-form-urlencoded");
  return {
    patient,
    version: await client.readVersion("Patient", MEDLOCK_PATIENT, patient.meta.versionId),
    resolved: await client.readReference(PATIENT),
    pages: await paged(client),
    conditions: ids(await client.search("Condition", { patient: MEDLOCK_PATIENT })),
    posted: ids(await posted),
    one: await client.searchOne("Patient", { _id: MEDLOCK_PATIENT }),
    everything: ids(await client.readPatientEverything(MEDLOCK_PATIENT)),
    capability: await client.get(client.fhirUrl("metadata")),
    valid: await client.validateResource(patient),
  };
}

async function writes(client) {
  const identifier = [{ system: "urn:medplum", value: "1" }];
  const query = "identifier=urn:medplum|1";
  const first = await client.createResourceIfNoneExist(flag("by medplum", { identifier }), query);
  const second = await client.createResourceIfNoneExist(flag("by medplum, again", { identifier }), query);
  const updated = await client.updateResource({ ...first, status: "inactive" });
  const precondition = await refusal(client.updateResource(first, { headers: { "if-match": 'W/"1"' } }));
  const patched = await client.patchResource("Flag", first.id, [
    { op: "test", path: "/status", value: "inactive" },
    { op: "replace", path: "/status", value: "entered-in-error" },
  ]);
  const upserted = await client.upsertResource(flag("by medplum, at last", { identifier }), query);
  const history = await client.readHistory("Flag", first.id);
  await client.deleteResource("Flag", first.id);
  const gone = await refusal(client.readResource("Flag", first.id));
  const versions = history.entry.map((each) => each.resource.meta.versionId);
  return { first, second, updated, precondition, patched, upserted, versions, gone };
}

function entry(method, url, resource) {
  return { request: { method, url }, ...(resource && { resource, fullUrl: `urn:uuid:${crypto.randomUUID()}` }) };
}

async function bundles(client) {
  const bundle = (type, ...entries) => client.executeBatch({ resourceType: "Bundle", type, entry: entries });
  const two = flag("two", { id: "medplum-two" });
  const done = await bundle("transaction", entry("POST", "Flag", flag("one")), entry("PUT", "Flag/medplum-two", two));
  const mixed = await bundle("batch", entry("GET", "Flag/medplum-two"), entry("GET", "Flag/medplum-none"), entry("DELETE", "Flag/medplum-two"));
  const three = flag("three", { id: "medplum-three" });
  const bad = bundle("transaction", entry("PUT", "Flag/medplum-three", three), entry("POST", "Flag", { resourceType: "Flag" }));
  const broken = await refusal(bad);
  const statuses = (answer) => answer.entry.map((each) => each.response.status.slice(0, 3));
  await client.deleteResource("Flag", done.entry[0].response.location.split("Flag/")[1].split("/")[0]);
  const none = await refusal(client.readResource("Flag", "medplum-three"));
  return { transaction: statuses(done), batch: statuses(mixed), shown: mixed.entry[0].resource, broken, none };
}

async function contents(client) {
  const data = new TextEncoder().encode("a letter");
  const binary = await client.createBinary({ data, contentType: "text/plain", securityContext: PATIENT });
  const back = await client.download(client.fhirUrl("Binary", binary.id));
  const text = await back.text();
  await client.deleteResource("Binary", binary.id);
  return { binary, text };
}

async function refusals(client) {
  return {
    missing: await refusal(client.readResource("Patient", "nobody-at-all")),
    mistyped: await refusal(client.search("Observation", { patinet: "1" })),
    invalid: await refusal(client.createResource({ resourceType: "Flag", status: 5 })),
    stranger: await refusal(connect("nonsense").search("Patient")),
  };
}

async function main() {
  const client = connect(MEDLOCK_TOKEN);
  const parts = [reads, writes, bundles, contents, refusals];
  const seen = {};
  for (const part of parts) {
    Object.assign(seen, await part(client));
  }
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n${JSON.stringify(error.outcome)}\n`);
  process.exitCode = 1;
});
