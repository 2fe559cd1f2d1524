"""Apps at the FHIR API over a real store: rows S, T-18 to T-24, E-08, E-09, X-B29."""

from urllib.parse import quote

import pytest

from medlock.audit.events import Action, Outcome
from medlock.audit.search import AuditQuery
from medlock.crypto.jose import new_signer
from medlock.errors import BadRequest
from medlock.oauth.client import Kind
from medlock.oauth.people import Sought
from smart.site import CONCERN, CONDITION, OBSERVED, PATIENTS, ROOT, condition, observation, open_site_in
from smart.world import ASSERTION, FHIR, TYPES, jwks_of

LAB = f"patient/Observation.rs?category={OBSERVED}|laboratory"
SOC = f"patient/Observation.rs?category={OBSERVED}|social-history"
ENC = f"patient/Condition.rs?category={CONDITION}|encounter-diagnosis"
CON = f"patient/Condition.rs?category={CONCERN}|health-concern"


@pytest.fixture
async def site(tmp_path):
    async with open_site_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def app(site):
    return await site.client()


@pytest.fixture
async def ann(site):
    return await site.person("Ann", "patient", "Patient/ann")


@pytest.fixture
async def doc(site):
    return await site.person("Doc", "clinician", "Practitioner/doc")


async def test_t_18_no_token(site):
    """T-18: without a token, or with one that nobody knows, 401."""
    assert (await site.get("Patient/ann")).status_code == 401
    assert (await site.get("Patient/ann", "unknown")).status_code == 401


async def test_t_19_x_s24_every_type_of_ones_own_record(site, app, ann):
    """T-19, X-S24: a full grant searches every type of US Core in the patient's record, and finds theirs only."""
    token = (await site.tokens(app, ann, "launch/patient patient/*.rs"))["access_token"]
    for name in TYPES:
        if name in {"Location", "Practitioner", "Organization"}:
            assert (await site.get(name, token)).status_code == 200
        else:
            query = "_id=ann" if name == "Patient" else "patient=ann"
            assert (await site.get(f"{name}?{query}", token)).status_code == 200, name
    assert await site.ids("Observation", token) == {"ann-lab", "ann-soc", "ann-vit"}
    assert await site.ids("Encounter", token) == {"e1"}


async def test_x_s18_another_patients_record(site, app, ann):
    """X-S18: by id, by search, by a list of ids, by reference: nothing of anybody else, and no difference to nothing."""
    token = (await site.tokens(app, ann, "launch/patient patient/*.rs"))["access_token"]
    for path in ("Patient/bob", "Observation/bob-lab", "Condition/bob-enc", "Observation/bob-lab/_history/1"):
        hidden = await site.get(path, token)
        missing = await site.get(path.replace("bob", "nobody"), token)
        assert hidden.status_code == 404
        assert hidden.text.replace("bob", "nobody") == missing.text
    for query in ("patient=bob", "subject=Patient/bob", "_id=bob-lab,bob-soc", "patient.name=Bob"):
        assert await site.ids(f"Observation?{query}", token) == set(), query
    assert await site.ids("Patient?_id=ann,bob,carl", token) == {"ann"}


async def test_x_s12_read_without_search(site, app, ann):
    """X-S12: `.r` reads, and does not search."""
    token = (await site.tokens(app, ann, "launch/patient patient/Observation.r"))["access_token"]
    assert (await site.get("Observation/ann-lab", token)).status_code == 200
    assert (await site.get("Observation?patient=ann", token)).status_code == 403
    assert (await site.get("Condition/ann-enc", token)).status_code == 403


async def test_x_s20_the_persons_rights_win(site, app, ann):
    """X-S20: all scopes in the hands of a patient write nothing, and read their own record only."""
    got = await site.tokens(app, ann, "user/*.cruds")
    token = got["access_token"]
    assert (await site.get("Patient/bob", token)).status_code == 404
    done = await site.fhir("PUT", "Observation/ann-lab", token, json=observation("ann-lab", "ann", "laboratory"))
    assert done.status_code == 403
    assert (await site.fhir("DELETE", "Observation/ann-lab", token)).status_code == 403


async def test_x_s29_a_token_in_the_address(site, app, ann):
    """X-S29: in a query string a token is nothing."""
    token = (await site.tokens(app, ann, "patient/*.rs"))["access_token"]
    assert (await site.get(f"Patient/ann?access_token={token}")).status_code == 401
    done = await site.get(f"Observation?access_token={token}", token)
    assert done.status_code == 400


async def test_s_01_s_03_s_04_s_06_granular(site, app, ann):
    """S-01, S-03, S-04, S-06: returned literally; searches by GET and POST find what one of the scopes allows, no more."""
    scope = f"launch/patient patient/Patient.rs {LAB} {SOC} {ENC} {CON}"
    got = await site.tokens(app, ann, scope)
    assert set(got["scope"].split()) == set(scope.split())
    token = got["access_token"]
    for kind, found in (("Observation", {"ann-lab", "ann-soc"}), ("Condition", {"ann-enc", "ann-con"})):
        assert await site.ids(f"{kind}?patient=ann", token) == found
        posted = await site.fhir(
            "POST",
            f"{kind}/_search",
            token,
            {"content-type": "application/x-www-form-urlencoded"},
            content="patient=ann",
        )
        assert {entry["resource"]["id"] for entry in posted.json()["entry"]} == found
    assert await site.ids(f"Observation?patient=ann&category={OBSERVED}|laboratory", token) == {"ann-lab"}
    assert await site.ids(f"Observation?patient=ann&category={OBSERVED}|vital-signs", token) == set()
    for path in ("Observation/ann-vit", "Condition/ann-pro"):
        done = await site.get(path, token)
        assert done.status_code == 404
        assert done.json()["resourceType"] == "OperationOutcome"


async def test_x_s11_history_of_what_is_hidden(site, app, ann):
    """X-S11: neither history nor an older version of a resource that the scopes do not allow."""
    token = (await site.tokens(app, ann, f"launch/patient {LAB}"))["access_token"]
    assert (await site.get("Observation/ann-lab/_history/1", token)).status_code == 200
    for path in ("Observation/ann-vit/_history", "Observation/ann-vit/_history/1"):
        assert (await site.get(path, token)).status_code == 404


async def test_s_07_the_person_picks_granular_scopes(site, app, ann):
    """S-07: an app asks for types, the person gives categories: those are what the token has."""
    chosen = ("launch/patient", "patient/Patient.rs", LAB, ENC)
    scope = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.rs"
    got = await site.tokens(app, ann, scope, chosen=chosen)
    assert set(got["scope"].split()) == set(chosen)
    assert await site.ids("Observation?patient=ann", got["access_token"]) == {"ann-lab"}


async def test_e_08_e_09_launched_from_the_portal(site, doc):
    """E-08, E-09: the encounter in context can be read; a clinician's user/ scopes reach beyond the patient in context."""
    app = await site.client(launch_url="https://app.example.org/launch")
    handle = await site.launch(app, doc, patient="ann", encounter="e1")
    scope = "launch openid fhirUser offline_access user/Encounter.rs user/Observation.rs"
    got = await site.tokens(app, doc, scope, launch=handle)
    token = got["access_token"]
    assert (await site.get(f"Encounter/{got['encounter']}", token)).status_code == 200
    assert len(await site.ids("Observation?_count=50", token)) == 3 * len(PATIENTS)
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"], "client_id": app.id}
    again = (await site.wire.post(f"{ROOT}/oauth/token", data=form)).json()
    assert (again["patient"], again["encounter"]) == ("ann", "e1")
    assert (await site.get("Encounter/e1")).status_code == 401


async def test_x_e14_nobody_launches_what_they_may_not_see(site, ann, doc):
    """X-E14: with the real door: a patient launches their own record only; nobody one that is not there."""
    app = await site.client(launch_url="https://app.example.org/launch")
    assert await site.launch(app, ann, patient="ann")
    for session, context in (
        (ann, {"patient": "bob"}),
        (doc, {"patient": "nobody"}),
        (doc, {"patient": "bob", "encounter": "e1"}),
    ):
        with pytest.raises(Exception, match="not allowed"):
            await site.launch(app, session, **context)


async def test_who_is_offered_to_choose(site, app, ann, doc):
    """A clinician chooses among patients by name, a patient among their own; the names come through the door."""
    asked = [("response_type", "code"), ("client_id", app.id), ("redirect_uri", app.redirect_uris[0]), ("state", "s")]
    asked += [("aud", "https://localhost:8443/fhir"), ("scope", "patient/Observation.rs")]
    asked += [("code_challenge", "c" * 43), ("code_challenge_method", "S256")]
    choices = (await site.server.authorize.begin(asked, doc)).view.patients
    assert [(each.id, each.name) for each in choices] == [("ann", "Ann"), ("bob", "Bob"), ("carl", "Carl")]
    choices = (await site.server.authorize.begin(asked, ann)).view.patients
    assert [(each.id, each.name) for each in choices] == [("ann", "Ann")]
    token = (await site.tokens(app, doc, "patient/Observation.rs", "bob"))["access_token"]
    assert await site.ids("Observation", token) == {"bob-lab", "bob-soc", "bob-vit"}


async def test_staff_find_whom_they_choose(site, app, ann, doc):
    """By beginnings of names and date of birth, page by page, each patient once; a patient finds nobody but themselves."""
    writer = await backend_token(site, "system/Patient.cruds", "system/*.cruds")
    names = [("Zeta", f"P{at:02}", f"1990-01-{at + 1:02}") for at in range(25)] + [("O$c,ar", "Lee", "1955-05-05")]
    for at, (family, given, birth) in enumerate(names):
        body = {"resourceType": "Patient", "id": f"z{at}", "name": [{"family": family, "given": [given]}]}
        done = await site.fhir("PUT", f"Patient/z{at}", writer, json=body | {"birthDate": birth})
        assert done.status_code == 201, done.text
    asked = [("response_type", "code"), ("client_id", app.id), ("redirect_uri", app.redirect_uris[0]), ("state", "s")]
    asked += [("aud", "https://localhost:8443/fhir"), ("scope", "patient/Observation.rs")]
    asked += [("code_challenge", "c" * 43), ("code_challenge_method", "S256")]
    authorize = site.server.authorize
    begun = await authorize.begin(asked, doc)
    assert (begun.view.searchable, len(begun.view.patients)) == (True, 20)

    async def found(session=doc, **sought):
        return (await authorize.resume(begun.handle, session, Sought(**sought))).view

    first = await found(name="zet")
    second = await found(name="zet", page=first.more)
    assert len(first.patients) == 20
    assert second.more == ""
    assert {each.id for each in (*first.patients, *second.patients)} == {f"z{at}" for at in range(25)}
    assert len(second.patients) == 5
    one = (await found(name="P07 Zeta", birth="1990-01-08")).patients
    assert [(each.id, each.name, each.birth) for each in one] == [("z7", "P07 Zeta", "1990-01-08")]
    assert [each.id for each in (await found(name="o$c,")).patients] == ["z25"]
    assert (await found(name="zeta", birth="1980-01-01")).patients == ()
    for wrong in ({"birth": "1980"}, {"name": "a b c d e"}, {"name": "x" * 101}, {"page": "made-up"}):
        with pytest.raises(BadRequest):
            await found(**wrong)
    own = await found(ann, name="zeta")
    assert ([each.id for each in own.patients], own.searchable, own.more) == (["ann"], False, "")


@pytest.mark.parametrize("named", ["Practitioner/doc", "Organization/org"])
async def test_who_is_denied_is_not_offered_nor_launched(site, app, named):
    """A consent that names the person, or whom they work for, binds the choice and the launch as it binds their token."""
    doc = await site.person("Doc", "clinician", "Practitioner/doc", organisations=("Organization/org",))
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    but = {"type": "deny", "actor": [{"role": role, "reference": {"reference": named}}]}
    writer = await backend_token(site, "system/Consent.cruds", "system/*.cruds")
    done = await site.fhir("POST", "Consent", writer, json=decided("bob", {"type": "permit", "provision": [but]}))
    assert done.status_code == 201, done.text
    asked = [("response_type", "code"), ("client_id", app.id), ("redirect_uri", app.redirect_uris[0]), ("state", "s")]
    asked += [("aud", "https://localhost:8443/fhir"), ("scope", "patient/Observation.rs")]
    asked += [("code_challenge", "c" * 43), ("code_challenge_method", "S256")]
    begun = await site.server.authorize.begin(asked, doc)
    assert [each.id for each in begun.view.patients] == ["ann", "carl"]
    assert (await site.server.authorize.resume(begun.handle, doc, Sought("bob"))).view.patients == ()
    launched = await site.client(launch_url="https://app.example.org/launch")
    with pytest.raises(Exception, match="not allowed"):
        await site.launch(launched, doc, patient="bob")


async def test_r_09_ended_on_the_account_page(site, app, ann):
    """R-09: with the real store: after the person ended the app, its next request is refused."""
    got = await site.tokens(app, ann, "launch/patient offline_access patient/*.rs")
    assert (await site.get("Patient/ann", got["access_token"])).status_code == 200
    (approval,) = await site.server.endings.of(ann.account)
    await site.server.endings.end_approval(approval.id, "ended", ann.account)
    assert (await site.get("Patient/ann", got["access_token"])).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": got["refresh_token"], "client_id": app.id}
    assert (await site.wire.post(f"{ROOT}/oauth/token", data=form)).status_code == 400


async def test_x_s30_consent_withdrawn_after_the_token(site, app, doc):
    """X-S30: the record's owner says no: the same token sees nothing of it on the next request, and the rest as before."""
    token = (await site.tokens(app, doc, "user/*.rs"))["access_token"]
    assert (await site.get("Observation/ann-lab", token)).status_code == 200
    writer = await backend_token(site, "system/Consent.cruds", "system/*.cruds")
    done = await site.fhir("POST", "Consent", writer, json=decided("ann", {"type": "deny"}))
    assert done.status_code == 201, done.text
    assert (await site.get("Observation/ann-lab", token)).status_code == 404
    assert not {each for each in await site.ids("Observation?_count=50", token) if each.startswith("ann")}
    assert (await site.get("Observation/bob-lab", token)).status_code == 200


def decided(patient, provision):
    """A privacy consent of a patient's."""
    privacy = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    rule = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [privacy]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "policyRule": {"coding": [rule]},
        "provision": provision,
    }


async def backend_token(site, scope, registered="system/*.rs"):
    """A program's token."""
    signer = new_signer("ES384")
    client = await site.client(
        Kind.ASYMMETRIC, redirect_uris=(), scopes=registered, jwks=jwks_of(signer, "k"), grants=("client_credentials",)
    )
    now = site.app.records.clock.now_ms() // 1000
    claims = {"iss": client.id, "sub": client.id, "aud": f"{ROOT}/oauth/token", "exp": now + 200, "jti": "1"}
    form = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION}
    form["client_assertion"] = signer.sign(claims, {"kid": "k"})
    done = await site.wire.post(f"{ROOT}/oauth/token", data=form)
    assert done.status_code == 200, done.text
    return done.json()["access_token"]


async def test_x_b29_a_program_within_its_scopes(site):
    """X-B29: a program's token does what its system/ scopes say, and nothing else."""
    token = await backend_token(site, "system/Observation.rs")
    assert len(await site.ids("Observation?_count=50", token)) == 3 * len(PATIENTS)
    assert (await site.get("Condition?patient=ann", token)).status_code == 403
    assert (await site.get("Patient/ann", token)).status_code == 403
    done = await site.fhir("PUT", "Observation/ann-lab", token, json=observation("ann-lab", "ann", "laboratory"))
    assert done.status_code == 403


async def test_x_s25_merged_patients(site, app, ann):
    """X-S25: a link between two patients opens nothing: a token reaches the record it was given for."""
    token = await backend_token(site, "system/Patient.cruds", "system/*.cruds")
    linked = {
        "resourceType": "Patient",
        "id": "ann",
        "link": [{"other": {"reference": "Patient/bob"}, "type": "replaces"}],
    }
    assert (await site.fhir("PUT", "Patient/ann", token, json=linked)).status_code == 200
    mine = (await site.tokens(app, ann, "launch/patient patient/*.rs"))["access_token"]
    assert (await site.get("Patient/bob", mine)).status_code == 404
    assert await site.ids("Observation?patient=bob", mine) == set()
    assert condition("x", "y", CONDITION, "z")


async def test_l_05_limits(tmp_path):
    """L-05: too many token requests of one client are 429 with Retry-After; another client is served all the same."""
    async with open_site_in(tmp_path, "all=off token=5/m introspection=3/m registration=2/d") as site:
        for path, form, limit in (
            ("token", {"grant_type": "refresh_token", "client_id": "one", "refresh_token": "x"}, 5),
            ("introspect", {"client_id": "one", "client_secret": "x", "token": "x"}, 3),
        ):
            done = [await site.wire.post(f"{ROOT}/oauth/{path}", data=form) for _ in range(limit + 1)]
            assert [each.status_code for each in done] == [401] * limit + [429]
            assert int(done[-1].headers["retry-after"]) > 0
            assert done[-1].json()["error"] == "temporarily_unavailable"
        app, ann = await site.client(), await site.person("Ann", "patient", "Patient/ann")
        assert (await site.tokens(app, ann, "patient/*.rs"))["access_token"]
        done = [await site.wire.post(f"{ROOT}/oauth/register", json={}) for _ in range(3)]
        assert [each.status_code for each in done] == [400, 400, 429]


async def test_a_refusal_that_the_app_is_told_is_written_down(site, app):
    """A scope that nobody knows, without PKCE, a parameter twice: back to the app, and an event with client and reason."""
    usual = (
        f"client_id={app.id}&redirect_uri={quote(app.redirect_uris[0])}&response_type=code&state=s&aud={quote(FHIR)}"
    )
    for number, more in enumerate(
        ("&scope=nonsense", "&scope=patient/*.rs", "&scope=openid&" + "x" * 900 + "=1&" + "x" * 900 + "=2"), 1
    ):
        done = await site.wire.get(f"{ROOT}/oauth/authorize?{usual}{more}")
        assert done.headers["location"].startswith(f"{app.redirect_uris[0]}?error=")
        assert len(done.headers["location"]) < 500
        found = [each.event for each in await site.app.records.log.find(AuditQuery(limit=500))]
        told = [event for event in found if event.action == Action.OAUTH_REFUSED and app.id in event.reason]
        assert [event.outcome for event in told] == [Outcome.DENIED] * number


async def test_strangers_do_not_fill_the_store_with_pushed_requests(tmp_path):
    """Whoever knows the id of a public client may push in its name: good requests count as well, each leaves a row."""
    async with open_site_in(tmp_path, "all=off page=3/m") as site:
        app = await site.client()
        form = {
            "response_type": "code",
            "client_id": app.id,
            "redirect_uri": app.redirect_uris[0],
            "scope": "patient/*.rs",
            "state": "s",
            "aud": FHIR,
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }
        done = [await site.wire.post(f"{ROOT}/oauth/par", data=form) for _ in range(4)]
        assert [each.status_code for each in done] == [201, 201, 201, 429]


NDJSON = "application/fhir+ndjson"


async def test_k_03_to_k_07_x_k13_export(site):
    """K-03 to K-07, X-K13: 202, status, manifest, files by token only; a group's members exactly; nobody else's job."""
    token = await backend_token(site, "system/*.rs")
    begun = await site.get("Group/g1/$export", token, prefer="respond-async")
    assert begun.status_code == 202
    where = begun.headers["content-location"]
    done = await site.get(where, token)
    while done.status_code == 202:
        done = await site.get(where, token)
    assert done.status_code == 200
    assert done.headers["content-type"].startswith("application/json")
    manifest = done.json()
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= set(manifest)
    assert manifest["requiresAccessToken"] is True
    assert all(each["type"] and each["url"].startswith("https://") for each in manifest["output"])
    (file,) = [each["url"] for each in manifest["output"] if each["type"] == "Patient"]
    other = await backend_token(site, "system/*.rs")
    for address in (where, file):
        assert (await site.get(address)).status_code == 401
        assert (await site.get(address, other)).status_code == 404
    lines = (await site.get(file, token)).text.splitlines()
    assert len(lines) == 2
    assert all(any(f'"{name}"' in line for name in ("ann", "bob")) for line in lines)


@pytest.mark.parametrize(
    "more", [f"_outputFormat={NDJSON}", "_outputFormat=application/ndjson", "_outputFormat=ndjson"]
)
async def test_k_09_k_10_parameters(site, more):
    """K-09, K-10: the three names of the format, and _since, are taken."""
    token = await backend_token(site, "system/*.rs")
    query = more.replace("+", "%2B") + "&_since=2020-01-01T00:00:00Z"
    done = await site.get(f"Patient/$export?{query}", token, prefer="respond-async")
    assert done.status_code == 202, done.text
