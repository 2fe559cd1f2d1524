"""@medplum/core in the browser, unchanged: its own redirect with PKCE, its own redemption of the code, its own renewal.

Two options of its constructor are needed, both documented by it. `fetch`: it would send the browser's credentials along,
which this server never lets a script of another origin do (docs/protection.md). `extendedMode`: it would send a header
that means something to its own server only. The FHIR server's address (`aud`) goes into the address of the
authorization endpoint, for which the library has a parameter.
"""

import json

import pytest

from browser.app_host import ASKED, hosted
from clients.node import modules
from web.running import medlock

CLIENT = f"""import {{ MedplumClient }} from "/library.js";
const asked = {ASKED};
const client = new MedplumClient({{
  baseUrl: asked.url, fhirUrlPath: "fhir", tokenUrl: "oauth/token", clientId: asked.clientId, extendedMode: false,
  fetch: (url, options) => fetch(url, {{ ...options, credentials: "omit" }}),
}});
"""
LAUNCH = f"""<!doctype html><title>launch</title><script type="module">{CLIENT}
await client.signInWithExternalAuth(asked.authorize, asked.clientId, asked.redirectUri, {{ scope: asked.scope }});
</script>"""
HOME = f"""<!doctype html><title>app</title><pre id="told">waiting</pre><script type="module">{CLIENT}
async function walk() {{
  const query = new URLSearchParams(location.search);
  if (query.get("error")) return {{ error: query.get("error") }};
  await client.processCode(query.get("code"), {{ clientId: asked.clientId, redirectUri: asked.redirectUri }});
  const patient = await client.searchOne("Patient");
  const labs = await client.searchResources("Observation", {{ patient: patient.id }});
  const refused = await client.searchResources("Condition", {{ patient: patient.id }})
    .then(() => "found", fault => fault.outcome.issue[0].code);
  const before = client.getAccessToken();
  await client.refresh();
  const again = await client.readResource("Patient", patient.id, {{ cache: "reload" }});
  return {{ patient: patient.id, labs: labs.length, refused, again: again.id, renewed: client.getAccessToken() !== before }};
}}
const told = document.getElementById("told");
walk().then(found => told.textContent = JSON.stringify(found), fault => told.textContent = "fault: " + fault.message);
</script>"""
SCOPES = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"


@pytest.fixture(scope="module")
def app(clinic):
    """The app, registered as its makers would be asked to."""
    directory, ready = clinic.server.directory, clinic.server.ready
    with hosted(modules() / "@medplum/core/dist/esm/index.mjs", LAUNCH, HOME) as (origin, asked):
        words = ["client", "register", "Charts", "--redirect", f"{origin}/", "--scope", SCOPES, "--json"]
        done = medlock(directory, *words)
        assert done.returncode == 0, done.stderr
        options = {
            "clientId": json.loads(done.stdout)["client_id"],
            "scope": SCOPES,
            "redirectUri": f"{origin}/",
            "url": ready["url"],
            "authorize": f"{ready['url']}/oauth/authorize?aud={ready['fhir']}",
        }
        asked["options"] = json.dumps(options)
        yield origin


def come_back(visitor, app):
    """What the app tells once its person has decided."""
    visitor.page.wait_for_url(f"{app}/**")
    visitor.page.wait_for_function("document.getElementById('told').textContent !== 'waiting'")
    return json.loads(visitor.page.inner_text("#told"))


def test_medplum_signs_in_reads_and_renews(person, app):
    """Allowed all but one scope: it reads what is left, is refused the rest, and renews its token by itself."""
    pia = person("pia")
    pia.settle()
    pia.page.goto(f"{app}/launch")
    pia.page.wait_for_selector("text=It asks to")
    assert "Charts" in pia.page.inner_text("h1")
    pia.page.uncheck('input[value="patient/Condition.rs"]')
    pia.page.click("text=Allow >> nth=-1")
    told = come_back(pia, app)
    assert told == {"patient": "pia", "labs": 2, "refused": "forbidden", "again": "pia", "renewed": True}

    pia.page.goto(f"{app}/launch")
    pia.page.wait_for_selector("text=It asks to")
    pia.page.click("text=Do not allow")
    assert come_back(pia, app) == {"error": "access_denied"}
