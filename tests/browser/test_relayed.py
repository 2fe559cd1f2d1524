"""An adversary in the middle gets no session of who has a passkey; of who types a password and a code, it gets them all.

MEDLOCK_THOROUGH=1 makes it the 50 tries of the acceptance list.
"""

import os
import ssl
import time
from base64 import b32decode
from contextlib import suppress

from playwright.sync_api import Error

from browser.chromium import Authenticator
from browser.relay import relay
from medlock.crypto.otp import hotp, step_at

OUTCOMES = (
    "[data-told]:has-text('Nothing happened'), [data-told]:has-text('could not'), "
    "[role=alert], h1:has-text('Your account')"
)
TRIES = 50 if os.environ.get("MEDLOCK_THOROUGH") == "1" else 3


def verify(clinic):
    """Trust in the real site."""
    return ssl.create_default_context(cafile=clinic.authority)


def lured(context, passkey, kit):
    """A victim opens the kit's page in a tab of its own and does what it says; whether the kit got a session."""
    kit.forget()
    page = context.new_page()
    authenticator = Authenticator(page, automaticPresenceSimulation=False)
    authenticator.give(passkey)
    page.goto(f"{kit.origin}/sign-in")
    page.wait_for_selector("h1:has-text('Sign in')")
    authenticator.willing(yes=True)
    with suppress(Error):  # the silent offer may be answered first: then the page is another one already
        page.click("form[data-passkey] button", no_wait_after=True, timeout=3_000)
    page.wait_for_selector(OUTCOMES)
    got = kit.is_in()
    page.close()
    return got


def test_no_passkey_session_is_relayed(clinic, person):
    """From another port of the same host, and from another host, with the site's name and with its own put in."""
    zoe = person("zoe")
    zoe.settle()
    passkey = zoe.authenticator.passkeys()[0]
    stolen = tried = 0
    for host, rewrites in (
        ("localhost", []),
        ("login.localhost", []),
        ("login.localhost", [(b'"localhost"', b'"login.localhost"')]),
    ):
        with relay(clinic.url, verify(clinic), host) as kit:
            kit.rewrites = rewrites
            victim = person("zoe", device=False)
            for _ in range(-(-TRIES // 3)):
                stolen += lured(victim.context, passkey, kit)
                tried += 1
    assert tried >= TRIES
    assert stolen == 0
    assert len(zoe.authenticator.passkeys()) == 1
    zoe.sign_out()
    zoe.go("/sign-in")
    zoe.titled("Your account")  # the same passkey, on the real site


def test_a_password_and_a_code_are_relayed_and_the_account_says_so(clinic, person):
    """The same kit gets the session of somebody who types: which is why the account page calls it phishable."""
    tess = person("tess", device=False)
    tess.settle_by_password()
    tess.go("/account/authenticator/new")
    secret = "".join(tess.page.locator("#secret").text_content().split())

    def code():
        return hotp(b32decode(secret), step_at(int(time.time() * 1000)))

    tess.page.fill("#code", code())
    tess.page.click("text=Add the app")
    tess.titled("Your account")
    page = tess.page.content()
    assert "Your account can be phished" in page
    assert page.count(">Can be phished<") == 2
    used = code()
    with relay(clinic.url, verify(clinic)) as kit:
        victim = person("tess", device=False)
        victim.page.goto(f"{kit.origin}/sign-in")
        tess.type_password(victim.page)
        victim.titled("One more step")
        while code() == used:
            time.sleep(0.5)
        victim.page.fill("#code", code())
        victim.page.click("text=Continue")
        victim.page.wait_for_selector("h1:not(:has-text('One more step'))")
        assert kit.is_in()
