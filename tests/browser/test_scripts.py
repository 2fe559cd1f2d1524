"""Our scripts and our forms in Chromium, over the small clinic: with a passkey, without one, without JavaScript, by keyboard."""

import pytest
from playwright.sync_api import expect

from browser.chromium import Authenticator, chromium
from browser.serving import served
from signin.small_desks import NOW, Holdings, World

SIGN_IN = 'form[action="/sign-in"] button:not([type])'
PASSKEY = "form[data-passkey] button"


@pytest.fixture(scope="module")
def small():
    """World, address and browser, once for this file."""
    world = World(held=Holdings((), password_changed=NOW, recovery_left=10, settled=True))
    with served(world) as origin, chromium() as browser:
        yield world, origin, browser


@pytest.fixture
def page(small):
    """A page in a context of its own; scripts that fail, or are blocked, fail the test."""
    context, faults = small[2].new_context(), []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert not faults


def test_a_passkey_is_offered_while_the_page_is_open(small, page):
    """Conditional mediation: nobody presses anything, and the form is sent with the passkey's answer."""
    _, origin, _ = small
    page.goto(f"{origin}/signed-out")
    authenticator = Authenticator(page)
    page.evaluate(
        """() => navigator.credentials.create({publicKey: {
            rp: {name: "x"}, user: {id: new Uint8Array(8), name: "ann", displayName: "Ann"}, challenge: new Uint8Array(16),
            pubKeyCredParams: [{type: "public-key", alg: -7}, {type: "public-key", alg: -257}],
            authenticatorSelection: {residentKey: "required", userVerification: "required"}}}).then(() => null)"""
    )
    assert len(authenticator.passkeys()) == 1
    with page.expect_request(lambda asked: asked.method == "POST" and asked.url.endswith("/sign-in/passkey")) as sent:
        page.goto(f"{origin}/sign-in")
    assert "ceremony=ticket-1" in sent.value.post_data
    assert "clientDataJSON" in sent.value.post_data


def test_the_button_ends_the_silent_offer(small, page):
    """With the silent offer pending, the button starts its own ceremony; without a passkey it says so and stays usable."""
    _, origin, _ = small
    page.goto(f"{origin}/signed-out")
    Authenticator(page)
    with page.expect_response("**/sign-in/passkey/options"):
        page.goto(f"{origin}/sign-in")
    for _ in range(2):
        page.click(PASSKEY)
        page.wait_for_selector("[data-told]:has-text('Nothing happened')")
        assert page.evaluate("document.activeElement === document.querySelector('form[data-passkey] button')")
        assert page.is_enabled(PASSKEY)


def test_a_browser_without_passkeys_is_told_so(small, page):
    """The button is dead and says why; the rest of the page works."""
    _, origin, _ = small
    page.add_init_script("delete window.PublicKeyCredential")
    page.goto(f"{origin}/sign-in")
    page.wait_for_selector("[data-told]:has-text('cannot use passkeys')")
    assert page.is_disabled(PASSKEY)


def test_everything_but_passkeys_works_without_javascript(small):
    """What needs a script is not shown; signing in, printing codes and signing out work."""
    _, origin, browser = small
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/sign-in")
    assert not page.is_visible(PASSKEY)
    assert not page.is_visible("[data-reveal]")
    page.fill("#username", "ann@example.org")
    page.fill("#password", "right horse")
    page.click(SIGN_IN)
    assert page.locator("noscript .note").is_visible()
    page.goto(f"{origin}/account/recovery-codes")
    page.click("main button")
    assert page.locator(".codes li").count() == 10
    page.click("text=Sign out")
    expect(page).to_have_title("You are signed out · medlock")
    context.close()


def test_a_wrong_password_moves_the_focus_to_what_is_wrong(small, page):
    """The summary has the focus; its link leads to the field; the password is not in the page."""
    _, origin, _ = small
    page.goto(f"{origin}/sign-in")
    page.fill("#username", "ann@example.org")
    page.fill("#password", "wrong horse")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id || location.hash.slice(1)") == "username"
    assert "wrong horse" not in page.content()


def test_the_keyboard_reaches_everything_in_order(small, page):
    """Tab goes through the sign-in page as it is read, and each stop shows where it is."""
    _, origin, _ = small
    page.goto(f"{origin}/sign-in")
    seen = []
    for _ in range(10):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", seen
    assert seen[:2] == ["Skip to content", "medlock"]
    assert seen[2:7] == ["Sign in with a passk", "username", "password", "Show what you type", "Sign in"]


def test_a_code_in_the_fragment_fills_the_field_and_leaves_the_address(small, page):
    """The server never sees it, and it stands in no history."""
    _, origin, _ = small
    with page.expect_request("**/invitation*") as asked:
        page.goto(f"{origin}/invitation#ABCD-EFGH")
    assert "ABCD" not in asked.value.url
    expect(page.locator("#code")).to_have_value("ABCD-EFGH")
    assert page.url == f"{origin}/invitation"


def test_going_back_after_signing_out_shows_nothing(small, page):
    """The account page is not kept: the way back leads to the sign-in page."""
    world, origin, _ = small
    page.goto(f"{origin}/sign-in")
    page.fill("#username", "ann@example.org")
    page.fill("#password", "right horse")
    page.click(SIGN_IN)
    page.goto(f"{origin}/account")
    assert "Ann Okafor" in page.content()
    page.click("text=Sign out")
    expect(page).to_have_title("You are signed out · medlock")
    page.go_back()
    expect(page).to_have_title("Sign in · medlock")
    assert "Ann Okafor" not in page.content()
    assert world.sessions is not None
