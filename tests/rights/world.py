"""A clinic whose patients decide about sharing: the door of `records.world`, with rights on top of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as changed

from consent import form
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import MedlockError
from medlock.identity.factors.password import Hashing
from medlock.identity.slots import Slots
from medlock.oauth.administering import administration
from medlock.oauth.client import Kind
from medlock.oauth.people import KnownPeople
from medlock.oauth.registering import Registration
from medlock.oauth.rows import open_rows
from medlock.oauth.tokens import TokenStore
from medlock.rights.services import Rights, Secrets
from medlock.settings import Settings
from records.world import BASE, ids, open_world, patient

OWN = patient("p", "patient/*.rs patient/Consent.crus")
OTHER = patient("q", "patient/*.rs patient/Consent.crus")
ANN, BOB = "Practitioner/ann", "Practitioner/bob"
SUBJECT = {"reference": "Patient/p"}


def clinician(reference, **more):
    """A clinician who treats."""
    scopes = parse_scopes("user/*.cruds")
    return mint_principal(
        reference, frozenset({Role.CLINICIAN}), scopes, fhir_user=reference, **({"purpose": "TREAT"} | more)
    )


ann, bob = clinician(ANN), clinician(BOB)


class Counting:
    """`Hashing` that counts how many passcodes were looked at."""

    def __init__(self, inner):
        self._inner = inner
        self.looked = 0

    async def made(self, password):
        return await self._inner.made(password)

    async def matches(self, encoded, password):
        self.looked += 1
        return await self._inner.matches(encoded, password)


@dataclass
class Clinic:
    """A world and the rights of its patients."""

    world: object
    rights: Rights
    rows: object
    desk: object
    hashing: Counting
    slots: Slots = field(repr=False)
    people: KnownPeople = field(repr=False)

    async def close(self):
        """Stop as a process stops."""
        self.slots.close()
        await self.world.close()

    async def sees(self, who, reference="Observation/o1"):
        """Whether somebody reads it, by itself and in a search with its total."""
        type_, _, id_ = reference.partition("/")
        found = await self.world.search(who, type_, f"_id={id_}")
        shown = reference in ids(found)
        assert found["total"] == int(shown)
        try:
            await self.world.read(who, reference)
        except MedlockError:
            assert not shown
            return False
        assert shown
        return True


def registration(name="app"):
    """An app to be registered."""
    return Registration(name=name, kind=Kind.PUBLIC, redirect_uris=("https://app.example/cb",), scopes="openid")


async def open_clinic(directory, policy=Policy.DENY, store="", *, fresh=True, **settings):
    """A process on a data directory; with two patients, two doctors and what is sensitive when it is fresh."""
    world, people = await open_world(directory, store=store, site=Site(policy)), KnownPeople()
    keys = world.keystore.tenant
    parts = world.backend, keys, world.clock, world.log
    rows = open_rows(*parts)
    desk, slots = administration(rows, TokenStore(*parts)), Slots()
    hashing = Counting(Hashing(slots, keys.pepper))
    given = changed(Settings(directory, public_url=BASE.removesuffix("/fhir")), **settings)
    rights = Rights(given, world.door, desk, Secrets(hashing, keys.share_links), people)
    clinic = Clinic(world, rights, rows, desk, hashing, slots, people)
    if fresh:
        await _furnish(world)
    return clinic


async def _furnish(world):
    for reference in ("Patient/p", "Patient/q", ANN, BOB):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_})
    await world.put(
        {
            "resourceType": "Organization",
            "id": "org",
            "name": "Clinic",
            "telecom": [{"system": "email", "value": "privacy@clinic.example"}],
        }
    )
    for id_, more in (
        ("o1", {}),
        ("o2", {}),
        ("psy", {"meta": {"security": [form.label("PSY")]}}),
        ("hiv", {"meta": {"security": [form.label("HIV")]}}),
    ):
        await world.put(
            {
                "resourceType": "Observation",
                "id": id_,
                "status": "final",
                "code": {"text": "x"},
                "subject": SUBJECT,
                **more,
            }
        )
    other = {"subject": {"reference": "Patient/q"}}
    await world.put({"resourceType": "Observation", "id": "q1", "status": "final", "code": {"text": "x"}, **other})
    await world.put({"resourceType": "Condition", "id": "c1", "subject": SUBJECT, "code": {"text": "x"}})
