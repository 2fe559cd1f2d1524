"""The authorization request: rows A and E. Nothing is sent to an address that is not the client's; nothing is ignored."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from medlock.access.groups import ALL_TYPES
from medlock.audit.events import Action
from medlock.errors import BadRequest, Denied, NotFound
from medlock.oauth.authorize import NeedConsent, NeedSignIn, Redirect
from medlock.oauth.client import Kind, Status
from medlock.oauth.launching import LaunchRequest
from smart.world import ALL_SCOPES, ANN, BASE, CALLBACK, DOC, FHIR, MAY, answer

SCOPE = "openid fhirUser launch/patient offline_access patient/Observation.rs patient/Condition.rs"


@pytest.fixture
async def app(world):
    return await world.register(Kind.PUBLIC)


async def error(world, app, scope=SCOPE, **more):
    """The error that the app is told."""
    found = answer(await world.begin(app, scope, **more))
    assert "code" not in found
    assert found["state"] == "state-1" if "state" not in more else True
    assert found["iss"] == BASE
    return found["error"]


async def test_a_03_redirect_uris_keep_their_query(world):
    """A-03, for our own answers: a redirect URI that has a query keeps it."""
    app = await world.register(Kind.PUBLIC, redirect_uris=("https://app.example.org/cb?keep=me",))
    found = await world.approve(app, SCOPE)
    assert found["keep"] == "me"
    assert "code" in found


async def test_a_04_a_20_a_code(world, app):
    """A-04, A-20: an approval brings code, state and the name of this server, and no error."""
    assert set(await world.approve(app, SCOPE)) == {"code", "state", "iss"}


async def test_a_06_refused_by_the_person(world, app):
    """A-06: access_denied with state, no code; the request does not wait any longer, and the log says so."""
    asked = await world.begin(app, SCOPE)
    found = answer(await world.server.authorize.decide(asked.handle, world.session(ANN), ()))
    assert (found["error"], found["state"]) == ("access_denied", "state-1")
    with pytest.raises(BadRequest):
        await world.server.authorize.decide(asked.handle, world.session(ANN), ("openid",))
    assert world.log.of(Action.OAUTH_REJECT)


async def test_a_07_a_08_each_scope_can_be_refused(world, app):
    """A-07, A-08: one line for each scope, offline access too; what is taken away does not come back in the token."""
    asked = await world.begin(app, SCOPE)
    view = asked.view
    assert {line.scope for line in view.lines} == set(SCOPE.split())
    assert {line.kind for line in view.lines} == {"data", "identity", "launch", "offline"}
    assert (view.name, view.verified, view.minutes, view.days) == ("Test App", False, 10, 100)
    assert all(line.words for line in view.lines)
    got = await world.tokens_for(app, SCOPE, scopes=("launch/patient", "patient/Observation.rs"))
    assert set(got["scope"].split()) == {"launch/patient", "patient/Observation.rs"}
    assert "refresh_token" not in got
    assert "id_token" not in got


async def test_narrower_scopes_are_offered_and_nothing_wider_is_taken(world, app):
    """In the place of a wide scope a narrower one may be taken; a wider one, or another, is refused."""
    asked = await world.begin(app, "launch/patient patient/*.rs")
    (line,) = [line for line in asked.view.lines if line.kind == "data"]
    assert ("patient/Observation.rs", "Laboratory results, vital signs and other measurements") in line.narrower
    for scopes in (("patient/*.cruds",), ("user/Observation.rs",), ("openid",), ("patient/Nothing.rs",)):
        with pytest.raises(BadRequest):
            await world.server.authorize.decide(asked.handle, world.session(ANN), scopes)
    found = answer(await world.server.authorize.decide(asked.handle, world.session(ANN), ("patient/Condition.r",)))
    assert (await world.redeem(app, found["code"])).json()["scope"] == "patient/Condition.r"


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example.org/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": None},
        {"request_uri": "urn:ietf:params:oauth:request_uri:nobody"},
        {"request_uri": "https://evil.example.org/"},
    ],
)
async def test_a_10_never_sent_elsewhere(world, app, more):
    """A-10: an unknown client or another redirect URI is shown to the person, and nobody is sent anywhere."""
    with pytest.raises(BadRequest) as refusal:
        await world.begin(app, SCOPE, **more)
    assert "evil" not in str(refusal.value)


async def test_a_10_clients_that_are_not_active(world, app):
    """A-10, L-03: a client that is disabled or waits to be approved is one that nobody knows."""
    for status in (Status.DISABLED, Status.PENDING):
        await world.desk.clients.change(app.id, "test", {"status": status})
        with pytest.raises(BadRequest):
            await world.begin(app, SCOPE)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://other.example.org/fhir"}, "invalid_request"),
        ({"resource": "https://other.example.org/fhir"}, "invalid_request"),
        ({"launch": "unknown"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "surprise"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 20}, "invalid_request"),
        ({"max_age": "9" * 5000}, "invalid_request"),
        ({"max_age": "\N{ARABIC-INDIC DIGIT THREE}"}, "invalid_request"),
    ],
)
async def test_a_12_to_a_17_told_to_the_app(world, app, more, code):
    """A-12 to A-17: PKCE with S256 only, response_type code only, state and aud needed, audience ours."""
    found = answer(await world.begin(app, SCOPE, **more))
    assert found["error"] == code
    assert "code" not in found


async def test_a_16_resource_is_aud(world, app):
    """A-16: resource in the place of aud, or beside it with the same meaning; a slash at the end says nothing."""
    for more in ({"aud": None, "resource": FHIR}, {"resource": FHIR}, {"aud": FHIR + "/"}):
        assert isinstance(await world.begin(app, SCOPE, **more), NeedConsent)


async def test_a_18_twice(world, app):
    """A-18: a parameter that comes twice is refused; where client or redirect do, the person is told."""
    pairs = world.asking(app, SCOPE)
    found = answer(await world.server.authorize.begin([*pairs, ("scope", "openid")], world.session(ANN)))
    assert found["error"] == "invalid_request"
    for name in ("client_id", "redirect_uri"):
        with pytest.raises(BadRequest):
            await world.server.authorize.begin([*pairs, (name, "x")], world.session(ANN))


async def test_a_19_prompt(world, app):
    """A-19: without a page there is login_required or consent_required; login asks somebody who is signed in again."""
    assert await error(world, app, person=None, prompt="none") == "login_required"
    assert await error(world, app, prompt="none") == "consent_required"
    session = world.session(ANN)
    world.clock.pass_(10)
    asked = await world.server.authorize.begin(world.asking(app, SCOPE, prompt="login"), session)
    assert isinstance(asked, NeedSignIn)
    assert isinstance(await world.server.authorize.resume(asked.handle, session), NeedSignIn)
    assert isinstance(await world.server.authorize.resume(asked.handle, world.session(ANN)), NeedConsent)
    asked = await world.server.authorize.begin(world.asking(app, SCOPE, max_age="5"), session)
    assert isinstance(asked, NeedSignIn)


async def test_max_age_zero_is_met_by_signing_in(world, app):
    """max_age=0 asks for a sign-in after the request, and takes one, however long the person then thinks."""
    session = world.session(ANN)
    world.clock.pass_(1)
    asked = await world.server.authorize.begin(world.asking(app, SCOPE, max_age="0"), session)
    assert isinstance(asked, NeedSignIn)
    world.clock.pass_(2)
    session = world.session(ANN)
    world.clock.pass_(30)
    assert isinstance(await world.server.authorize.resume(asked.handle, session), NeedConsent)
    found = answer(await world.server.authorize.decide(asked.handle, session, ("openid", "patient/Observation.rs")))
    assert "code" in found


async def test_sign_in_comes_first(world, app):
    """Nobody is signed in: the request waits under a handle, on any process, and not for ever."""
    asked = await world.begin(app, SCOPE, person=None)
    assert isinstance(asked, NeedSignIn)
    other, _, _ = world.process()
    assert isinstance(await other.authorize.resume(asked.handle, world.session(ANN)), NeedConsent)
    with pytest.raises(BadRequest):
        await other.authorize.resume("not-a-handle", world.session(ANN))
    world.clock.pass_(15 * 60 + 1)
    with pytest.raises(BadRequest):
        await other.authorize.resume(asked.handle, world.session(ANN))


async def test_a_22_asked_every_time(world, app):
    """A-22: what was allowed once is asked again, wider or not: nothing is remembered that nobody asked to remember."""
    await world.tokens_for(app, SCOPE)
    for scope in (SCOPE, "patient/Observation.rs", ALL_SCOPES.replace("launch ", "")):
        assert isinstance(await world.begin(app, scope), NeedConsent)


@pytest.mark.parametrize(
    "scope",
    [
        "patient/Observation.rs?unknownparam=x",
        "patient/Observation.rs?code:in=x",
        "patient/Nothing.rs",
        "x",
        "patient/*.sr",
    ],
)
async def test_a_24_scopes_that_nobody_knows(world, app, scope):
    """A-24: a scope that is not understood is invalid_scope, never one without its query."""
    assert await error(world, app, f"openid {scope}") == "invalid_scope"


async def test_scopes_beyond_the_client(world):
    """Scopes that the client is not registered for, and a program's, are invalid_scope; so are none."""
    app = await world.register(Kind.PUBLIC, scopes="openid patient/Observation.rs")
    for scope in ("patient/*.rs", "patient/Observation.cruds", "offline_access", "user/Observation.rs", "system/*.rs"):
        assert await error(world, app, scope) == "invalid_scope"
    assert await error(world, app, None) == "invalid_scope"


async def test_a_25_eight_kilobytes_of_scope(world, app):
    """A-25: many scopes are no fault."""
    letters = ("r", "s", "c", "u", "d", "rs", "cu", "cr")
    scope = " ".join(f"patient/{name}.{each}" for name in sorted(ALL_TYPES) for each in letters)[:12_000].rpartition(
        " "
    )[0]
    found = await world.begin(app, " ".join(scope.split()[:400]))
    assert isinstance(found, NeedConsent)
    assert len(scope) > 8_000


async def test_a_26_loopback_with_any_port(world):
    """A-26: an app on the person's own machine may listen on any port; nothing else may differ."""
    app = await world.register(Kind.PUBLIC, redirect_uris=("http://127.0.0.1:1234/cb", "https://app.example.org:1/cb"))
    assert "code" in await world.approve(app, SCOPE, redirect_uri="http://127.0.0.1:59999/cb")
    for uri in (
        "http://127.0.0.1:1/other",
        "http://localhost:1/cb",
        "https://127.0.0.1:1/cb",
        "https://app.example.org:2/cb",
    ):
        with pytest.raises(BadRequest):
            await world.begin(app, SCOPE, redirect_uri=uri)


async def test_a_28_pushed_requests_only(world):
    """A-28: a client that must push is refused directly, and served when it pushed; each name works once."""
    app = await world.register(Kind.SYMMETRIC, require_par=True)
    assert await error(world, app) == "invalid_request"
    fields, headers = app.credentials(world)
    pushed = await world.post("/oauth/par", dict(world.asking(app, SCOPE)) | fields, headers)
    assert pushed.status_code == 201
    assert pushed.headers["cache-control"] == "no-store"
    named = [("client_id", app.id), ("request_uri", pushed.json()["request_uri"])]
    found = await world.server.authorize.begin(named, world.session(ANN))
    assert isinstance(found, NeedConsent)
    with pytest.raises(BadRequest):
        await world.server.authorize.begin(named, world.session(ANN))
    other = await world.register(Kind.PUBLIC)
    pushed = await world.post("/oauth/par", dict(world.asking(app, SCOPE)) | fields, headers)
    with pytest.raises(BadRequest):
        await world.server.authorize.begin(
            [("client_id", other.id), ("request_uri", pushed.json()["request_uri"])], world.session(ANN)
        )
    world.clock.pass_(91)
    with pytest.raises(BadRequest):
        await world.server.authorize.begin(
            [("client_id", app.id), ("request_uri", pushed.json()["request_uri"])], world.session(ANN)
        )


async def test_a_pushed_request_is_refused_where_it_is_pushed(world, app):
    """RFC 9126 §2.3: what is wrong is told to the app, not to a browser; a stranger may not push."""
    form = dict(world.asking(app, SCOPE)) | {"client_id": app.id}
    for more, code in (
        ({"scope": "x"}, "invalid_scope"),
        ({"redirect_uri": "https://evil.example.org"}, "invalid_request"),
        ({"request_uri": "x"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"padding": "x" * 30_000}, "invalid_request"),
    ):
        done = await world.post("/oauth/par", form | more)
        assert (done.status_code, done.json()["error"]) == (400, code)
    assert (await world.post("/oauth/par", form | {"client_id": "nobody"})).status_code == 401


async def test_a_decision_counts_once(world, app):
    """Twenty decisions over one request at once: one code."""
    asked = await world.begin(app, SCOPE)
    deciding = [world.server.authorize.decide(asked.handle, world.session(ANN), ("openid",)) for _ in range(20)]
    done = await asyncio.gather(*deciding, return_exceptions=True)
    assert sum(isinstance(each, Redirect) for each in done) == 1
    assert all(isinstance(each, Redirect | BadRequest) for each in done)


async def test_whose_record(world, app):
    """A patient's app reaches their own record; who stands in for two chooses; nobody chooses another's."""
    assert (await world.tokens_for(app, SCOPE))["patient"] == "ann"
    asked = await world.begin(app, SCOPE, MAY)
    assert [choice.id for choice in asked.view.patients] == ["ann", "bob"]
    with pytest.raises(BadRequest):
        await world.server.authorize.decide(asked.handle, world.session(MAY), ("patient/Observation.rs",))
    assert (await world.tokens_for(app, SCOPE, MAY, patient="bob"))["patient"] == "bob"
    for patient in ("carl", "../ann", "ann/x"):
        assert (await world.approve(app, SCOPE, MAY, patient=patient))["error"] == "access_denied"
    assert (await world.approve(app, SCOPE, ANN, patient="bob"))["error"] == "access_denied"
    for patient in ("ann/_history/1", "ann?x=1", "*", "ann/../bob"):
        assert (await world.approve(app, SCOPE, DOC, patient=patient))["error"] == "access_denied"


async def test_x_e12_a_patient_scope_without_launch(world, app):
    """X-E12: patient/ scopes without a launch lead to a choice."""
    asked = await world.begin(app, "patient/Observation.rs", DOC)
    assert asked.view.patients
    got = await world.tokens_for(app, "patient/Observation.rs", DOC, patient="bob")
    assert got["patient"] == "bob"
    principal = await world.tokens.authenticate(got["access_token"])
    assert (principal.patient, principal.fhir_user) == ("bob", "Practitioner/doc")


@pytest.fixture
async def launched_app(world):
    return await world.register(Kind.PUBLIC, launch_url="https://app.example.org/launch?keep=me")


async def launch(world, app, person=DOC, **more):
    """A launch's handle."""
    address = await world.server.launching.begin(person.id, LaunchRequest(app.id, **({"patient": "ann"} | more)))
    found = parse_qs(urlsplit(address).query)
    assert address.startswith("https://app.example.org/launch?keep=me&")
    assert found["iss"] == [FHIR]
    return found["launch"][0]


async def test_e_01_the_portal_launches(world, launched_app):
    """E-01: the browser is sent to the registered launch URL with iss and launch; over HTTP, for who is signed in."""
    world.signed_in = world.session(DOC)
    async with world.http() as http:
        done = await http.post("/oauth/launch", json={"client": launched_app.id, "patient": "ann"})
    assert done.status_code == 200
    assert done.json()["location"].startswith("https://app.example.org/launch?keep=me&iss=")
    with pytest.raises(NotFound):
        await world.server.launching.begin(DOC.id, LaunchRequest("nobody", "ann"))


async def test_e_03_e_05_to_e_08_what_the_app_is_told(world, launched_app):
    """E-03, E-05 to E-08, T-13: context, style and banner as launched; user/ scopes reach beyond the patient in context."""
    handle = await launch(world, launched_app, encounter="e1", banner=False)
    scope = "launch openid fhirUser offline_access user/Observation.rs user/Patient.rs"
    got = await world.tokens_for(launched_app, scope, DOC, launch=handle)
    assert set(got["scope"].split()) == set(scope.split())
    assert (got["patient"], got["encounter"], got["need_patient_banner"]) == ("ann", "e1", False)
    async with world.http() as http:
        style = await http.get(got["smart_style_url"])
    assert style.json()["color_text"]
    assert got["refresh_token"]
    principal = await world.tokens.authenticate(got["access_token"])
    assert (principal.patient, principal.launch.patient, principal.launch.encounter) == ("", "ann", "e1")


async def test_x_e10_launches_that_do_not_hold(world, launched_app, app):
    """X-E10: a launch that is unknown, used, too old, another person's or another app's brings no code."""
    scope = "launch user/Observation.rs"
    handle = await launch(world, launched_app)
    assert answer(await world.begin(launched_app, scope, ANN, launch=handle))["error"] == "invalid_request"
    assert answer(await world.begin(app, scope, DOC, launch=handle))["error"] == "invalid_request"
    assert "code" in await world.approve(launched_app, scope, DOC, launch=handle)
    assert answer(await world.begin(launched_app, scope, DOC, launch=handle))["error"] == "invalid_request"
    handle = await launch(world, launched_app)
    world.clock.pass_(301)
    assert answer(await world.begin(launched_app, scope, DOC, launch=handle))["error"] == "invalid_request"


async def test_x_e10_one_launch_two_requests(world, launched_app):
    """X-E10: two requests wait with one launch; the first decision uses it up, the second brings no code."""
    handle = await launch(world, launched_app)
    asked = [await world.begin(launched_app, "launch user/Observation.rs", DOC, launch=handle) for _ in range(2)]
    done = await asyncio.gather(
        *(
            world.server.authorize.decide(each.handle, world.session(DOC), ("launch", "user/Observation.rs"))
            for each in asked
        )
    )
    assert sorted("code" in answer(each) for each in done) == [False, True]


async def test_x_e11_hints_are_no_fault(world, launched_app):
    """X-E11: launch/encounter beside launch is no error; without an encounter it is not granted."""
    handle = await launch(world, launched_app)
    got = await world.tokens_for(launched_app, "launch launch/encounter user/Observation.rs", DOC, launch=handle)
    assert "encounter" not in got
    assert "launch/encounter" not in got["scope"].split()


async def test_x_e13_t_14_t_15_intent_tenant_and_context(world, launched_app):
    """X-E13, T-13 to T-15: strings as given, echoed by introspection; fhirContext as the guide has it, or refused."""
    context = ({"reference": "ImagingStudy/1"}, {"reference": "Patient/x", "role": "https://example.org/role"})
    handle = await launch(world, launched_app, intent="reconcile", tenant="north", fhir_context=context)
    got = await world.tokens_for(launched_app, "launch user/Observation.rs", DOC, launch=handle)
    assert (got["intent"], got["tenant"], got["fhirContext"]) == ("reconcile", "north", list(context))
    asking = await world.register(Kind.SYMMETRIC, introspects=True)
    told = (await world.introspect(asking, got["access_token"])).json()
    assert all(told[name] == got[name] for name in ("intent", "tenant", "fhirContext", "patient"))
    for bad in (
        {"reference": "Patient/x"},
        {"reference": "Encounter/x", "role": "launch"},
        {"reference": "https://x/Patient/1", "role": "https://r"},
        {"role": "launch"},
        {"reference": "ImagingStudy/1", "role": ""},
        {"reference": "ImagingStudy/1", "role": "mine"},
        {"canonical": "x"},
        {"identifier": "x"},
        {"reference": "Nothing/1"},
        {"type": "Nothing", "identifier": {}},
        {"type": [], "identifier": {}},
        {"reference": "ImagingStudy/1", "more": 1},
    ):
        with pytest.raises(BadRequest):
            await launch(world, launched_app, fhir_context=(bad,))


async def test_x_e14_patients_that_they_may_not_see(world, launched_app):
    """X-E14: nobody launches, or is launched, with a patient or a visit that they may not see."""
    for more in ({"patient": "carl"}, {"encounter": "e2"}):
        with pytest.raises(Denied):
            await launch(world, launched_app, **more)
    with pytest.raises(Denied):
        await launch(world, launched_app, ANN, patient="bob")
    handle = await launch(world, launched_app)
    world.sight.visible.clear()
    assert (await world.approve(launched_app, "launch user/Observation.rs", DOC, launch=handle))[
        "error"
    ] == "access_denied"
