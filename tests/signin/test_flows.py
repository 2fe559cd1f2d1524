"""What people do on the pages, step by step, without JavaScript, over the small clinic."""

from dataclasses import replace

from medlock.errors import TooMany
from medlock.identity.review import Ask, Point
from medlock.oauth.people import Sought
from signin.small_desks import APP, APPS, CODES, HOUR, KEYS, NOW, PATIENTS, Attempts, Holdings, World
from signin.small_site import Browser, site
from signin.walking import AUTHORIZE

DECIDE = "/oauth/authorize/decide"


async def ann(**more):
    """Ann, signed in."""
    world = World(**({"held": Holdings(KEYS, password_changed=1, recovery_left=3, settled=True)} | more))
    browser = Browser(site(world))
    await browser.sign_in()
    return world, browser


async def test_password_and_second_factor():
    """Password, then code, then the account page; a wrong code asks again, a missing first factor starts again."""
    world = World(seconds=("otp",), held=Holdings(KEYS, recovery_left=3, settled=True))
    browser = Browser(site(world))
    assert (await browser.get("/sign-in/code")).headers["location"] == "/sign-in"
    assert (await browser.sign_in()).headers["location"] == "/sign-in/code?by=otp&to="
    await browser.follow()
    wrong = await browser.post("/sign-in/code", {"code": "000 000"})
    assert (wrong.status_code, "-session" in str(browser.cookies)) == (401, False)
    right = await browser.post("/sign-in/code", {"code": "123 456"})
    assert right.headers["location"] == "/account"
    assert "__Host-medlock-pending" not in browser.cookies
    assert "Ann Okafor" in (await browser.follow()).text


async def test_wrong_sign_ins_look_alike():
    """An unknown name and a wrong password bring the same page, but for the name that was typed."""
    answers = []
    for name in ("ann@example.org", "nobody@example.org"):
        browser = Browser(site(World()))
        await browser.get("/sign-in")
        answer = await browser.post("/sign-in", {"username": name, "password": "x"})
        answers.append(
            (answer.status_code, answer.text.replace(name, "").replace(browser.token, ""), sorted(browser.cookies))
        )
    assert answers[0] == answers[1]


async def test_waiting_is_said_in_minutes():
    """Who has to wait learns how long, on the page and in Retry-After."""
    world = World()
    fault = TooMany("Too many attempts. Try again in 4 minutes, or sign in with a passkey.")
    fault.retry_after = 240
    world.faults["password"] = fault
    browser = Browser(site(world))
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", {"username": "ann@example.org", "password": "x"})
    assert answer.status_code == 429
    assert "Try again in 4 minutes" in answer.text
    assert answer.headers["retry-after"] == "240"


async def test_a_passkey_is_offered_after_a_password():
    """Who has none is offered one; who has one goes straight on."""
    _, browser = await ann(held=Holdings((), password_changed=1, recovery_left=3, settled=True))
    assert browser.last.headers["location"].startswith("/account/passkeys/new?offer=yes")
    assert "Not now" in (await browser.follow()).text
    _, browser = await ann()
    assert browser.last.headers["location"] == "/account"


async def test_a_passkey_that_is_gone_is_told_to_the_browser():
    """The page carries what `signalUnknownCredential` needs."""
    browser = Browser(site(World()))
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in/passkey", {"ceremony": "x", "credential": "y"})
    assert 'data-unknown="gone"' in answer.text
    assert 'data-rp="localhost"' in answer.text


async def test_enrolling_a_passkey_takes_three_screens():
    """Create, name, done. Screens are counted as pages shown."""
    _, browser = await ann()
    shown = [await browser.get("/account/passkeys/new")]
    options = await browser.post("/account/passkeys/options")
    assert options.json()["ceremony"] == "ticket-3"
    await browser.post("/account/passkeys/new", {"ceremony": "ticket-3", "credential": "{}"})
    shown.append(await browser.follow())
    await browser.post("/account/passkeys/k1/name", {"name": "Work laptop"})
    shown.append(await browser.follow())
    assert [page.status_code for page in shown] == [200, 200, 200]
    assert "Work laptop" in shown[-1].text


async def test_joining():
    """An invitation, a passkey, recovery codes: an account that is settled. Wrong codes say nothing of what exists."""
    world = World()
    browser = Browser(site(world))
    await browser.get("/invitation")
    assert (await browser.post("/invitation", {"code": "WRONG", "username": "ann"})).status_code == 401
    assert (await browser.post("/invitation", {"code": "WELCOME", "username": "ann"})).headers["location"] == "/welcome"
    assert "How will you sign in?" in (await browser.follow()).text
    await browser.get("/account/passkeys/new")
    await browser.post("/account/passkeys/new", {"ceremony": "ticket-3", "credential": "{}"})
    await browser.follow()
    assert (await browser.post("/account/passkeys/k1/name", {"name": "Phone"})).headers[
        "location"
    ] == "/account/recovery-codes"
    await browser.follow()
    page = await browser.post("/account/recovery-codes")
    assert all(code in page.text for code in CODES)
    again = await browser.post(
        "/account/recovery-codes", {"ceremony": "ticket-5", "codes": list(CODES), "code": "nope"}
    )
    assert again.status_code == 401
    assert all(code in again.text for code in CODES)
    done = await browser.post("/account/recovery-codes", {"ceremony": "ticket-5", "code": CODES[3]})
    assert done.headers["location"] == "/account?done=codes"
    page = await browser.follow()
    assert not any(code in page.text for code in CODES)


async def test_staff_choose_no_password():
    """People who work here are shown passkeys only."""
    _, browser = await ann(held=Holdings((), staff=True), unsettled=True)
    page = (await browser.get("/welcome")).text
    assert "Create a passkey" in page
    assert "Choose a password" not in page


async def test_recovery_by_user_name_and_code():
    """A recovery code with the user name lets in; after a password it needs no name."""
    world = World(held=Holdings(KEYS, recovery_left=9, settled=True))
    browser = Browser(site(world))
    await browser.get("/sign-in/recover")
    assert (await browser.post("/sign-in/recover", {"username": "ann@example.org", "code": CODES[0]})).headers[
        "location"
    ] == "/account"
    world.seconds = ("otp",)
    browser = Browser(site(world))
    await browser.sign_in()
    assert 'name="username"' not in (await browser.get("/sign-in/recover")).text
    assert (await browser.post("/sign-in/recover", {"code": CODES[0]})).headers["location"] == "/account"


async def test_sessions_apps_and_unlocking():
    """Each is listed and can be ended; what has ended meanwhile is no fault."""
    world, browser = await ann(apps=list(APPS), attempts=Attempts(3, NOW, NOW + HOUR))
    page = (await browser.get("/account")).text
    assert "3 failed sign-ins" in page
    assert "Chrome on Windows" in page
    assert "Heart Diary" in page
    assert "Not checked" in page
    for path in (
        "/account/sessions/other/end",
        "/account/sessions/gone/end",
        "/account/sessions/end-others",
        "/account/apps/a1/end",
    ):
        assert (await browser.post(path)).status_code == 303
    assert world.ended == ["other", "gone", "others", "a1"]
    await browser.post("/account/unlock")
    page = (await browser.get("/account?done=unlocked")).text
    assert "failed sign-in" not in page
    assert "Heart Diary" not in page


async def test_phishable_ways_are_labelled():
    """An account without a passkey is told that it can be phished, and each way that can be is marked."""
    _, browser = await ann(held=Holdings((), password_changed=1, totp=1, recovery_left=3, settled=True))
    page = (await browser.get("/account")).text
    assert "Your account can be phished" in page
    assert page.count("Can be phished") == 2
    _, browser = await ann(held=Holdings(KEYS, recovery_left=3, settled=True))
    assert "an be phished" not in (await browser.get("/account")).text


async def test_the_yearly_review():
    """It is shown with what is better changed while it is due; who has looked is told so, and it is gone."""
    points = (Point(Ask.LOOK_AT, KEYS[0].id), Point(Ask.MAKE_CODES), Point(Ask.STILL_YOURS, "totp"))
    world, browser = await ann(review=points)
    page = (await browser.get("/account")).text
    assert "Your yearly look" in page
    assert f"{KEYS[0].name} may have been copied" in page
    assert "few recovery codes" in page
    assert "not used your authenticator app for a year" in page
    answer = await browser.post("/account/reviewed", {})
    assert (world.review, answer.headers["location"]) == (None, "/account?done=reviewed")
    page = (await browser.follow()).text
    assert "We ask again in a year" in page
    assert "Your yearly look" not in page
    world.review = ()
    assert "I have looked through it" in (await browser.get("/account")).text


async def test_a_password_that_must_be_changed_soon():
    """A quiet line long before; a warning with the days that are left from the first reminder on."""
    due = NOW + 30 * 86_400_000
    held = Holdings(KEYS, password_changed=1, password_due=due, recovery_left=3, settled=True)
    _, browser = await ann(held=held)
    page = (await browser.get("/account")).text
    assert "asks for a new password by 30 December 2026" in page
    assert "must be changed within" not in page
    for days, said in ((14, "within 14 days"), (1, "within 1 day<")):
        _, browser = await ann(held=replace(held, password_days=days))
        assert said in (await browser.get("/account")).text


async def test_an_app_gets_what_was_left_ticked():
    """Scope by scope, narrower ones, the patient, offline access: exactly what the form says (A-07, A-08, S-07)."""
    world, browser = await ann(patients=PATIENTS)
    page = (await browser.get(AUTHORIZE)).text
    assert "Heart Diary" in page
    assert "app.example:4443" in page
    assert "10 minutes at most" in page
    assert "365 days" in page
    assert "Nobody here has checked this app" in page
    narrow = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    chosen = ["patient/Patient.rs", narrow, "launch/patient", "patient/Everything.cruds"]
    fields = {"request": "handle-of-a-request", "answer": "allow", "scope": chosen}
    missing = await browser.post(DECIDE, fields | {"patient": "somebody"})
    assert missing.status_code == 400
    assert "Choose whose record" in missing.text
    assert not world.decided
    answer = await browser.post(DECIDE, fields | {"patient": "ben"})
    assert world.decided == [(("patient/Patient.rs", narrow, "launch/patient"), "ben")]
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{APP}/callback?code=c&state=s"


async def test_staff_look_for_whose_record():
    """By name and date of birth, in a form and never in an address; ticks are kept, and the list goes on."""
    world, browser = await ann(patients=PATIENTS, searchable=True)
    page = (await browser.get(AUTHORIZE)).text
    assert "Whose record?" in page
    assert 'name="more" value="next-page"' in page
    name = PATIENTS[0].name
    fields = {"request": "handle-of-a-request", "scope": ["patient/Patient.rs"], "name": name, "birth": "1980-02-29"}
    page = (await browser.post(DECIDE, fields | {"answer": "search"})).text
    assert world.sought[-1] == Sought(name, "1980-02-29")
    assert f'value="{PATIENTS[0].id}"' in page
    assert f'value="{PATIENTS[1].id}"' not in page
    assert f'name="name" type="text" value="{name}"' in page
    assert page.count(" checked>") == 1
    page = (await browser.post(DECIDE, fields | {"more": "next-page"})).text
    assert world.sought[-1] == Sought(name, "1980-02-29", "next-page")
    assert 'name="more"' not in page
    assert "Nobody whom you may see" in (await browser.post(DECIDE, fields | {"answer": "search", "name": "zz"})).text
    wrong = await browser.post(DECIDE, fields | {"answer": "search", "birth": "nonsense"})
    assert (wrong.status_code, "year-month-day" in wrong.text) == (400, True)
    none = await browser.post(DECIDE, fields | {"answer": "allow"})
    assert (none.status_code, "Choose whose record" in none.text) == (400, True)
    assert not world.decided
    await browser.post(DECIDE, fields | {"answer": "allow", "patient": "found-elsewhere"})
    assert world.decided == [(("patient/Patient.rs",), "found-elsewhere")]


async def test_refusing_an_app():
    """Denying, or leaving nothing ticked, gives nothing (A-06)."""
    world, browser = await ann()
    await browser.get(AUTHORIZE)
    empty = await browser.post(
        DECIDE, {"request": "handle-of-a-request", "answer": "allow", "scope": ["launch/patient", "offline_access"]}
    )
    assert empty.status_code == 400
    assert "Choose at least one" in empty.text
    assert not world.decided
    answer = await browser.post(
        DECIDE, {"request": "handle-of-a-request", "answer": "deny", "scope": ["patient/Patient.rs"]}
    )
    assert world.decided == [((), "")]
    assert answer.headers["location"] == f"{APP}/callback?error=access_denied&state=s"


async def test_an_app_waits_while_somebody_signs_in():
    """From the app to the sign-in page, the second factor and back to the app's page; also when the app sent a form."""
    world = World(seconds=("otp",), held=Holdings(KEYS, recovery_left=3, settled=True))
    browser = Browser(site(world))
    await browser.get(AUTHORIZE)
    assert browser.last.headers["location"] == "/sign-in?to=a.handle-of-a-request"
    await browser.sign_in("a.handle-of-a-request")
    assert browser.last.headers["location"] == "/sign-in/code?by=otp&to=a.handle-of-a-request"
    await browser.follow()
    await browser.post("/sign-in/code", {"code": "123456", "to": "a.handle-of-a-request"})
    assert browser.last.headers["location"] == "/oauth/authorize/continue?request=handle-of-a-request"
    assert "Heart Diary" in (await browser.follow()).text
    kept, browser.cookies = browser.cookies, {}
    posted = await browser.post(
        "/oauth/authorize",
        {"client_id": "diary", "redirect_uri": f"{APP}/callback"},
        headers={"origin": APP, "sec-fetch-site": "cross-site"},
        csrf=None,
    )
    browser.cookies = kept
    assert (await browser.get(posted.headers["location"])).headers["location"].startswith("/oauth/authorize/continue")
