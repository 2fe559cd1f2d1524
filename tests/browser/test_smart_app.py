"""A SMART app in the browser, unchanged: fhirclient.js launches by itself, is allowed something, and reads."""

import json

import pytest

from browser.app_host import ASKED, hosted
from clients.node import modules
from web.running import medlock

LAUNCH = f"""<!doctype html><title>launch</title><script src="/library.js"></script>
<script>FHIR.oauth2.authorize({ASKED});</script>"""
HOME = """<!doctype html><title>app</title><pre id="told">waiting</pre><script src="/library.js"></script>
<script>
const told = document.getElementById("told");
FHIR.oauth2.ready().then(client => { window.client = client; return (DOES)(client); })
  .then(found => told.textContent = JSON.stringify(found)).catch(fault => told.textContent = "fault: " + fault.message);
</script>"""

DOES = """async client => {
  const patient = await client.patient.read();
  const labs = await client.request(`Observation?patient=${client.patient.id}`);
  const refused = await client.request(`Condition?patient=${client.patient.id}`).then(() => 200, fault => fault.status || fault.statusCode);
  const before = client.state.tokenResponse.access_token;
  if (client.state.tokenResponse.refresh_token) await client.refresh();
  const again = await client.patient.read();
  return {patient: patient.id, again: again.id, user: client.user.fhirUser, scope: client.state.tokenResponse.scope,
    labs: labs.total, refused, renewed: client.state.tokenResponse.access_token !== before};
}"""
SCOPES = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"


@pytest.fixture(scope="module")
def app(clinic):
    """The app, registered as its makers would be asked to."""
    directory = clinic.server.directory
    library = modules() / "fhirclient/build/fhir-client.js"
    with hosted(library, LAUNCH, HOME.replace("DOES", DOES)) as (origin, asked):
        words = ["client", "register", "Pulse", "--redirect", f"{origin}/", "--scope", SCOPES, "--json"]
        done = medlock(directory, *words)
        assert done.returncode == 0, done.stderr
        options = {
            "clientId": json.loads(done.stdout)["client_id"],
            "scope": SCOPES,
            "redirectUri": f"{origin}/",
            "iss": clinic.server.ready["fhir"],
            "pkceMode": "required",
        }
        asked["options"] = json.dumps(options)
        yield origin


def test_fhirclient_launches_by_itself(person, app):
    """Sign in, take one scope away, allow: the app reads what is left, is refused the rest, and renews its token."""
    nia = person("nia")
    nia.settle()
    nia.page.goto(f"{app}/launch")
    nia.page.wait_for_selector("text=It asks to")
    assert "Pulse" in nia.page.inner_text("h1")
    assert "Nobody here has checked this app" in nia.page.content()
    nia.page.uncheck('input[value="patient/Condition.rs"]')
    nia.page.click("text=Allow >> nth=-1")
    nia.page.wait_for_url(f"{app}/**")
    nia.page.wait_for_function("document.getElementById('told').textContent !== 'waiting'")
    told = json.loads(nia.page.inner_text("#told"))
    assert (told["patient"], told["again"], told["labs"]) == ("nia", "nia", 2)
    assert told["user"].endswith("Patient/nia")
    assert told["refused"] == 403
    assert told["renewed"]
    assert "Condition" not in told["scope"]

    nia.go("/account")
    assert nia.page.locator("text=Pulse").first.is_visible()


def test_whoever_says_no_is_sent_back_with_no(person, app):
    """The app is told access_denied, and nothing else."""
    otto = person("otto")
    otto.settle()
    otto.page.goto(f"{app}/launch")
    otto.page.wait_for_selector("text=It asks to")
    otto.page.click("text=Do not allow")
    otto.page.wait_for_url(f"{app}/**")
    otto.page.wait_for_function("document.getElementById('told').textContent !== 'waiting'")
    assert "denied" in otto.page.inner_text("#told").lower() or "access_denied" in otto.page.url
