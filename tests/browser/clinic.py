"""A real clinic with a handful of people, served by the real program over TLS, and a Chromium that trusts it."""

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import expect

from browser.chromium import Authenticator
from medlock.access.principal import Role
from medlock.app import open_app
from medlock.fhir.question import Interaction, Question
from medlock.identity.accounts import NewAccount
from medlock.oauth.client import Kind
from medlock.oauth.registering import Registration
from medlock.settings import from_environment
from web.running import environment

PATIENTS = ("ann", "ben", "cara", "dora", "eve", "finn", "gus", "nia", "otto", "pia", "tess", "yan", "zoe")
STAFF = {"bo": "clinician", "sam": "security-admin", "sue": "security-admin"}
PASSWORD = "kettle orbit marmalade 93"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
APP = "https://diary.example"
DIARY = Registration("Heart Diary", Kind.PUBLIC, id="diary", redirect_uris=(f"{APP}/callback",))


def records():
    """A Patient for each of them, with a laboratory result and a weight."""
    entries = []
    for name in PATIENTS:
        made = [{"resourceType": "Patient", "id": name, "name": [{"given": [name.title()], "family": "Okafor"}]}]
        made += [
            {
                "resourceType": "Observation",
                "id": f"{name}-{kind}",
                "status": "final",
                "category": [{"coding": [{"system": CATEGORY, "code": kind}]}],
                "code": {"text": kind},
                "subject": {"reference": f"Patient/{name}"},
            }
            for kind in ("laboratory", "vital-signs")
        ]
        entries += [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in made
        ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def invited(directory):
    """An invitation's code for everybody, by user name; the store is made on the way, with records and an app."""
    settings = from_environment(environment(directory))

    async def make():
        codes = {}
        async with open_app(settings, create=True) as app:
            question = Question(Interaction.TRANSACTION, body=json.dumps(records()).encode())
            await app.records.door.answer(app.operator(Role.LOADER), question)
            await app.oauth.clients.register(DIARY, "test")
            for name in (*PATIENTS, *STAFF):
                kind = "Practitioner" if name in STAFF else "Patient"
                new = NewAccount(f"{name.title()} Okafor", (STAFF.get(name, "patient"),), resource=f"{kind}/{name}")
                account = await app.identity.accounts.create(new, "test")
                codes[name] = (await app.identity.invitations.invite(account.id, "test")).code
        return codes

    return asyncio.run(make())


def trusted(authority):
    """The argument with which Chromium takes certificates of this authority for good ones, as WebAuthn demands."""
    certificate = x509.load_pem_x509_certificate(Path(authority).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}"


@dataclass
class Clinic:
    """The server's address and authority, Chromium, and codes that nobody has used yet."""

    url: str
    authority: str
    browser: object
    codes: dict
    server: object

    def visitor(self, name, **more):
        """Somebody in a browser of their own."""
        return Visitor(self, name, **more)


@dataclass
class Visitor:
    """A person with a browser: one page, one authenticator, and the recovery codes that were shown."""

    clinic: Clinic
    name: str
    device: bool = True
    codes: list = field(default_factory=list)

    def __post_init__(self):
        self.context = self.clinic.browser.new_context(viewport={"width": 400, "height": 800})
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.screens = []
        self.page.on("framenavigated", lambda _: self.screens.append(self.page.url))
        self.authenticator = Authenticator(self.page) if self.device else None

    def go(self, path):
        """Open a page of the clinic's."""
        return self.page.goto(self.clinic.url + path)

    def titled(self, title):
        """Wait until the page with this heading is there."""
        expect(self.page.locator("h1")).to_have_text(title, timeout=20_000)

    def join(self):
        """From the invitation to the choice of a way to sign in."""
        self.go("/invitation")
        self.page.fill("#code", self.clinic.codes[self.name])
        self.page.fill("#username", f"{self.name}@example.org")
        self.page.click("main button")
        self.titled("How will you sign in?")

    def enrol_passkey(self, label):
        """Create, name: the passkey is there."""
        self.page.click("form[data-passkey] button")
        self.titled("Name your passkey")
        self.page.fill("#name", label)
        self.page.click("main button")

    def keep_codes(self):
        """Have recovery codes made, and type one of them back."""
        self.titled("Recovery codes")
        self.page.click("main button")
        self.page.wait_for_selector(".codes")
        self.codes = self.page.locator("[data-code]").all_inner_texts()
        self.page.fill("#code", self.codes[0].lower())
        self.page.click("text=I have kept them")
        self.titled("Your account")

    def settle(self, label="Phone"):
        """Join with a passkey."""
        self.join()
        self.page.click("text=Create a passkey")
        self.enrol_passkey(label)
        self.keep_codes()

    def settle_by_password(self):
        """Join with a password."""
        self.join()
        self.page.click("text=Choose a password")
        self.page.fill("#password", PASSWORD)
        self.page.click("text=Save the password")
        self.keep_codes()

    def sign_out(self):
        """Leave."""
        self.page.click("text=Sign out")
        self.titled("You are signed out")

    def type_password(self, page=None):
        """User name and password, sent."""
        page = page or self.page
        page.fill("#username", f"{self.name}@example.org")
        page.fill("#password", PASSWORD)
        page.click('form[action="/sign-in"] button:not([type])')

    def close(self):
        """Done."""
        self.context.close()
