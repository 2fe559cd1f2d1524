// fhir-kit-client in node, against the server named by the environment.
// Prints one JSON object of what it saw; test_fhir_kit.py judges it.

const { MEDLOCK_FHIR, MEDLOCK_TOKEN, MEDLOCK_PATIENT, MEDLOCK_PAGE, NODE_PATH } = process.env;
const { Client } = await import(`${NODE_PATH}/fhir-kit-client/dist/index.js`); // imports do not look at NODE_PATH

const client = new Client({ baseUrl: MEDLOCK_FHIR, bearerToken: MEDLOCK_TOKEN });
const PATIENT = { reference: `Patient/${MEDLOCK_PATIENT}` };
const ids = (bundle) => (bundle.entry || []).map((each) => each.resource.id);
const statuses = (bundle) => bundle.entry.map((each) => each.response.status.slice(0, 3));

function flag(text, more = {}) {
  return { resourceType: "Flag", status: "active", code: { text }, subject: PATIENT, ...more };
}

async function refusal(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { status: error.response.status, body: error.response.data };
  }
}

async function paged(searchParams) {
  let bundle = await client.search({ resourceType: "Observation", searchParams });
  const pages = [];
  while (bundle) {
    pages.push(ids(bundle));
    bundle = await client.nextPage({ bundle });
  }
  return pages;
}

async function reads() {
  const patient = await client.read({ resourceType: "Patient", id: MEDLOCK_PATIENT });
  const versionId = patient.meta.versionId;
  const form = { searchParams: { patient: MEDLOCK_PATIENT }, options: { postSearch: true } };
  const everything = { name: "$everything", resourceType: "Patient", id: MEDLOCK_PATIENT, method: "GET" };
  const compartment = { resourceType: "Patient", id: MEDLOCK_PATIENT };
  return {
    patient,
    version: await client.vread({ resourceType: "Patient", id: MEDLOCK_PATIENT, version: versionId }),
    resolved: await client.resolve({ reference: PATIENT.reference }),
    pages: await paged({ patient: MEDLOCK_PATIENT, _count: MEDLOCK_PAGE }),
    conditions: ids(await client.search({ resourceType: "Condition", searchParams: { patient: MEDLOCK_PATIENT } })),
    posted: ids(await client.search({ resourceType: "Condition", ...form })),
    within: ids(await client.search({ resourceType: "Condition", compartment })),
    everything: ids(await client.operation({ ...everything, input: { _count: 1000 } })),
    capability: await client.capabilityStatement(),
  };
}

async function writes() {
  const identifier = [{ system: "urn:kit", value: "1" }];
  const conditional = { resourceType: "Flag", options: { headers: { "if-none-exist": "identifier=urn:kit|1" } } };
  const first = await client.create({ ...conditional, body: flag("by the kit", { identifier }) });
  const second = await client.create({ ...conditional, body: flag("by the kit, again", { identifier }) });
  const { id } = first;
  const at = { resourceType: "Flag", id };
  const updated = await client.update({ ...at, body: { ...first, status: "inactive" } });
  const stale = client.update({ ...at, body: first, options: { headers: { "if-match": 'W/"1"' } } });
  const precondition = await refusal(stale);
  const jsonPatch = [{ op: "replace", path: "/status", value: "entered-in-error" }];
  const options = { headers: { "content-type": "application/json-patch+json" } };
  const patched = await client.patch({ ...at, jsonPatch, options });
  const upserted = await client.update({
    resourceType: "Flag",
    searchParams: { identifier: "urn:kit|1" },
    body: { ...patched, status: "active" },
  });
  const history = await client.history(at);
  await client.delete(at);
  const gone = await refusal(client.read(at));
  const versions = history.entry.map((each) => each.resource.meta.versionId);
  return { first, second, updated, precondition, patched, upserted, versions, gone };
}

function entry(method, url, resource) {
  return { request: { method, url }, ...(resource && { resource, fullUrl: `urn:uuid:${crypto.randomUUID()}` }) };
}

async function bundles() {
  const done = await client.transaction({
    body: {
      resourceType: "Bundle",
      type: "transaction",
      entry: [entry("POST", "Flag", flag("one")), entry("PUT", "Flag/kit-two", flag("two", { id: "kit-two" }))],
    },
  });
  const mixed = await client.batch({
    body: {
      resourceType: "Bundle",
      type: "batch",
      entry: [entry("GET", "Flag/kit-two"), entry("GET", "Flag/kit-none"), entry("DELETE", "Flag/kit-two")],
    },
  });
  const broken = await refusal(
    client.transaction({
      body: {
        resourceType: "Bundle",
        type: "transaction",
        entry: [entry("PUT", "Flag/kit-three", flag("three", { id: "kit-three" })), entry("POST", "Flag", { resourceType: "Flag" })],
      },
    }),
  );
  const [made] = done.entry;
  await client.delete({ resourceType: "Flag", id: made.response.location.split("Flag/")[1].split("/")[0] });
  const none = await refusal(client.read({ resourceType: "Flag", id: "kit-three" }));
  return { transaction: statuses(done), batch: statuses(mixed), shown: mixed.entry[0].resource, broken, none };
}

async function refusals() {
  const stranger = new Client({ baseUrl: MEDLOCK_FHIR, bearerToken: "nonsense" });
  return {
    missing: await refusal(client.read({ resourceType: "Patient", id: "nobody-at-all" })),
    mistyped: await refusal(client.search({ resourceType: "Observation", searchParams: { patinet: "1" } })),
    invalid: await refusal(client.create({ resourceType: "Flag", body: { resourceType: "Flag", status: 5 } })),
    stranger: await refusal(stranger.search({ resourceType: "Patient" })),
  };
}

const seen = { ...(await reads()), ...(await writes()), ...(await bundles()), ...(await refusals()) };
process.stdout.write(JSON.stringify(seen));
