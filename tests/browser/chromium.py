"""Chromium as it is installed, driven by Playwright; no browser is downloaded.

Without one the tests are skipped; with CI=true they fail, because there it must be.
"""

import os
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")


def program():
    """The path of a Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("Chromium is not installed")
    return found


@contextmanager
def chromium(*more):
    """A running Chromium; `more` are arguments of it."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
    "hasPrf": True,
}


class Authenticator:
    """A virtual one in a page of Chromium's: it has passkeys and a user who says yes, or who does not."""

    def __init__(self, page, **more):
        self.session = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable", {"enableUI": False})
        made = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | more})
        self.id = made["authenticatorId"]

    def passkeys(self):
        """What it keeps."""
        return self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]

    def give(self, credential):
        """Put a passkey of another one into it."""
        kept = {name: value for name, value in credential.items() if name not in {"backupEligibility", "backupState"}}
        self.session.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": kept})

    def willing(self, yes):
        """Whether its user is there and says yes by themselves."""
        self.session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.id, "enabled": yes})
