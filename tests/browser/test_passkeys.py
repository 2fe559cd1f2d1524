"""People at the real server in Chromium with a virtual authenticator: the acceptance lines of sign-in, one by one."""

from playwright.sync_api import expect


def test_enrolling_and_signing_in(person):
    """From an invitation to a passkey in at most three screens; then the browser signs in by itself (conditional)."""
    ann = person("ann")
    ann.join()
    ann.screens.clear()
    ann.page.click("text=Create a passkey")
    ann.enrol_passkey("My phone")
    ann.titled("Recovery codes")
    shown = [url for url in ann.screens if "/account/passkeys" in url]
    assert len(shown) <= 3
    assert len(ann.authenticator.passkeys()) == 1
    ann.keep_codes()
    assert len(set(ann.codes)) == 10
    assert "My phone" in ann.page.content()
    ann.sign_out()
    ann.go("/sign-in")  # nobody presses anything
    ann.titled("Your account")
    assert "Ann Okafor" in ann.page.content()
    ann.sign_out()
    left = {each["name"] for each in ann.context.cookies()}
    assert left == {
        "__Host-medlock-device",
        "__Host-medlock-browser",
    }  # the second one is new, of the page that is shown


def test_signing_in_by_the_button(person):
    """In a browser that offers nothing by itself, the button does it; a strange device is told that it has no passkey."""
    ben = person("ben")
    ben.settle()
    ben.sign_out()
    ben.page.add_init_script("PublicKeyCredential.getClientCapabilities = async () => ({conditionalGet: false})")
    ben.go("/sign-in")
    ben.titled("Sign in")
    ben.page.click("form[data-passkey] button")
    ben.titled("Your account")
    stranger = person("ben")
    stranger.go("/sign-in")
    stranger.page.click("form[data-passkey] button")
    stranger.page.wait_for_selector("[data-told]:has-text('Nothing happened')")


def test_step_up_second_device_and_revocation(person):
    """A proof renews the session's secret; a code on paper brings a second device in; each can end the other."""
    cara = person("cara")
    cara.settle("First phone")
    before = {each["name"]: each["value"] for each in cara.context.cookies()}
    cara.go("/step-up?to=password")
    cara.page.click("form[data-passkey] button")
    cara.titled("Choose a password")
    after = {each["name"]: each["value"] for each in cara.context.cookies()}
    assert before["__Host-medlock-session"] != after["__Host-medlock-session"]

    other = person("cara")
    other.go("/sign-in/recover")
    other.page.fill("#username", "cara@example.org")
    other.page.fill("#code", cara.codes[1])
    other.page.click("main button:not([type])")
    other.go("/account/passkeys/new")
    other.enrol_passkey("Second phone")
    other.titled("Your account")
    for name in ("First phone", "Second phone"):
        expect(other.page.locator(".name", has_text=name)).to_be_visible()

    other.page.click("text=End all other sessions")
    other.page.wait_for_selector("text=All other sessions have ended.")
    cara.go("/account")
    cara.titled("Your account")  # ended, and signed in anew by the passkey that is still good
    assert cara.page.url.endswith("/account")

    other.go("/account")
    first = other.page.locator("li", has_text="First phone")
    first.get_by_role("link", name="Remove").click()
    other.page.click("main button.bad")
    other.page.wait_for_selector("text=The passkey is removed.")
    cara.go("/account")
    cara.titled("Sign in")  # its session ended with it; the passkey was offered, and is nobody's
    cara.page.wait_for_selector("text=This passkey does not sign you in any more")
    assert cara.authenticator.passkeys() == []  # the browser was told, and forgot it


def test_recovery_with_a_code(person):
    """A code that was used is worth nothing; a new one lets in, to enrol."""
    dora = person("dora")
    dora.settle()
    lost = person("dora", device=False)
    for code, works in ((dora.codes[4], True), (dora.codes[4], False)):
        lost.context.clear_cookies()
        lost.go("/sign-in/recover")
        lost.page.fill("#username", "dora@example.org")
        lost.page.fill("#code", code)
        lost.page.click("main button:not([type])")
        if works:
            assert "/sign-in" not in lost.page.url
        else:
            lost.page.wait_for_selector("[role=alert]")


def test_staff_have_no_way_without_a_passkey(person):
    """A clinician who joins is offered passkeys and nothing else, and reaches nothing before there is one."""
    bo = person("bo")
    bo.join()
    assert bo.page.locator("text=Choose a password").count() == 0
    bo.go("/account")
    bo.titled("How will you sign in?")
    bo.page.click("text=Create a passkey")
    bo.enrol_passkey("Hospital key")
    bo.keep_codes()
    assert "an be phished" not in bo.page.content()


def test_a_passkey_is_offered_after_a_password(person):
    """The browser may make it by itself (conditional create); where it does not, the page's button and “Not now” work."""
    yan = person("yan")
    yan.settle_by_password()
    yan.sign_out()
    yan.go("/sign-in")
    yan.type_password()
    yan.titled("Next time without a password?")
    yan.page.click("text=Not now")
    yan.titled("Your account")
    assert yan.page.locator("text=Your account can be phished").is_visible()
    yan.go("/account/passkeys/new?offer=yes")
    yan.enrol_passkey("Laptop")
    yan.titled("Your account")
    assert not yan.page.locator("text=Your account can be phished").is_visible()
