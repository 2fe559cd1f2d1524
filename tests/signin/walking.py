"""Every page of the site in every state that it has, for tests that hold all of them to the same."""

from dataclasses import replace

from medlock.identity.review import Ask, Point
from signin.small_desks import APP, APPS, DAY, HOUR, KEYS, NOW, PATIENTS, Attempts, Holdings, World
from signin.small_site import Browser, site

AUTHORIZE = f"/oauth/authorize?client_id=diary&redirect_uri={APP}/callback"
REVIEW = tuple(
    Point(Ask(ask), key)
    for ask, key in (
        ("look-at", "k1"),
        ("add-passkey", ""),
        ("make-codes", ""),
        ("second-passkey", ""),
        ("still-yours", "k1"),
        ("still-yours", "totp"),
    )
)
STRANGERS = ("/sign-in", "/sign-in/recover", "/invitation", "/sign-up", "/signed-out", "/static/no-such-file.css")
FULL = Holdings(
    KEYS,
    password_changed=NOW - 40 * DAY,
    password_due=NOW + 9 * DAY,
    totp=NOW - 3 * DAY,
    recovery_left=7,
    settled=True,
    rp="localhost",
    handle="AAAA",
    accepted=("AAAA", "BBBB"),
)
OWN = (
    "/account",
    "/account?done=codes",
    "/account/passkeys/new",
    "/account/passkeys/new?offer=yes",
    "/account/passkeys/k1/name?new=yes",
    "/account/passkeys/k1/remove",
    "/account/passkeys/nobodys/remove",
    "/account/authenticator/new",
    "/account/authenticator/remove",
    "/account/recovery-codes",
    "/account/password",
    "/step-up",
    AUTHORIZE,
)


async def every_page():
    """(name, answer) for all of them, refusals included."""
    world = World()
    browser = Browser(site(world))
    for path in STRANGERS:
        yield path, await browser.get(path)
    async for each in _wrong(world, browser):
        yield each
    async for each in _own(world, browser):
        yield each


async def _wrong(world, browser):
    """Forms that were filled in wrong."""
    await browser.get("/sign-in")
    yield "wrong password", await browser.post("/sign-in", {"username": "ann@example.org", "password": "x"})
    yield "gone passkey", await browser.post("/sign-in/passkey", {"ceremony": "x", "credential": "{}"})
    await browser.get("/sign-in/recover")
    yield "wrong recovery code", await browser.post("/sign-in/recover", {"username": "ann", "code": "x"})
    await browser.get("/sign-up")
    yield "wrong clinic's code", await browser.post("/sign-up", {"username": "ann", "code": "x", "birth": "1961-05-04"})
    yield "foreign form", await browser.post("/sign-in", {}, headers={"origin": "https://evil.example"})
    world.seconds = ("otp",)
    await browser.sign_in()
    yield "second", await browser.follow()
    yield "wrong code", await browser.post("/sign-in/code", {"code": "000000"})
    world.seconds = ()


async def _own(world, browser):
    """Pages of who is signed in, with everything and with next to nothing."""
    await browser.sign_in()
    for held, apps, attempts, patients in (
        (FULL, APPS, Attempts(3, NOW - 2 * HOUR, NOW + HOUR), PATIENTS),
        (Holdings((), password_changed=NOW, settled=True), [], Attempts(), PATIENTS[:1]),
        (replace(FULL, staff=True, recovery_left=0), [], Attempts(1, NOW, 0), PATIENTS * 5),
    ):
        world.held, world.apps, world.attempts, world.patients = held, apps, attempts, patients
        for path in OWN:
            yield path, await browser.get(path)
        world.review, world.held = REVIEW[: len(held.passkeys) * 3], replace(held, password_days=7)
        yield "review", await browser.get("/account")
        world.review = None
    await browser.get("/account/recovery-codes")
    yield "ten codes", await browser.post("/account/recovery-codes")
    yield "not one of them", await browser.post("/account/recovery-codes", {"ceremony": "t", "codes": "a", "code": "b"})
    await browser.get("/account/authenticator/new")
    fields = {"ceremony": "t", "secret": "ABC", "uri": "otpauth://totp/x", "code": "1"}
    yield "wrong first code", await browser.post("/account/authenticator/new", fields)
    await browser.get("/account/password")
    yield "short password", await browser.post("/account/password", {"ceremony": "t", "password": "x"})
    world.searchable = True
    yield "look for a patient", await browser.get(AUTHORIZE)
    fields = {"request": "handle-of-a-request", "answer": "search"}
    yield "nobody found", await browser.post("/oauth/authorize/decide", fields | {"name": "zz"})
    yield "no date", await browser.post("/oauth/authorize/decide", fields | {"birth": "nonsense"})
    world.searchable = False
    await browser.get(AUTHORIZE)
    yield (
        "nothing chosen",
        await browser.post("/oauth/authorize/decide", {"request": "handle-of-a-request", "answer": "allow"}),
    )
    for held in (Holdings(()), Holdings((), staff=True), Holdings((), password_changed=NOW), FULL):
        world.unsettled, world.held = True, held
        yield "welcome", await browser.get("/welcome")
