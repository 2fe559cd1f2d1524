"""What `medlock verify` says of people: nothing of what happened through the front door, everything of what did not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import medlock.identity
from identity.house import MemoryHouse, hash_with
from identity.world import HOME, KEYS
from medlock.access.principal import Role
from medlock.audit.acts import Evidence
from medlock.audit.events import Action
from medlock.audit.findings import Kind as Found
from medlock.errors import MedlockError
from medlock.identity.factors.shape import Kind
from medlock.identity.verify import CHANGES, KINDS, IdentityCheck
from medlock.store.tables import Table


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with little memory: nothing here depends on how long a hash takes."""
    hash_with(monkeypatch, 1, 8)


@pytest.fixture
async def house() -> MemoryHouse:
    """People who came, changed, signed in and left."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD, Kind.TOTP, Kind.PASSKEY, Kind.RECOVERY)
    await house.by_passkey(person)
    await house.by_password()
    with pytest.raises(MedlockError):
        await house.by_password(password="wrong")
    other = await house.person(Kind.PASSKEY, role=Role.CLINICIAN, login="dr@example.org")
    await house.accounts.set_roles(other.id, ("front-desk",), "cli:test")
    gone = await house.person(Kind.PASSKEY, login="gone@example.org")
    await house.by_passkey(gone)
    await house.accounts.disable(gone.id, "cli:test")
    await house.invitations.invite(other.id, "cli:test")
    return house


async def findings(house: MemoryHouse, *, whole: bool = True) -> set[tuple[int, Found]]:
    """Rows that are named, and what is said of them."""
    actions = (*CHANGES, Action.SESSION_START, Action.SESSION_END)
    requests = {
        action: frozenset(event.request for event in house.log.events if event.action is action) for action in actions
    }
    check = IdentityCheck(house.backend, KEYS)
    return {(each.key, each.kind) async for each in check.findings(Evidence({}, requests, whole))}


async def test_what_happened_is_no_cause_for_alarm(house: MemoryHouse) -> None:
    """Whatever people and operators did."""
    assert await findings(house) == set()


async def test_every_edited_row_is_named(house: MemoryHouse) -> None:
    """A flipped bit in any row, of any kind."""
    rows = house.disk.rows[Table.IDENTITY]
    for key, row in list(rows.items()):
        rows[key] = row[:30] + bytes([row[30] ^ 1]) + row[31:]
        found = await findings(house)
        assert (key, Found.EDITED) in found
        assert {each for each, _ in found} == {key}
        rows[key] = row


async def test_a_disabled_account_that_is_put_back_is_named(house: MemoryHouse) -> None:
    """And one that was deleted, and one that nobody made."""
    rows = house.disk.rows[Table.IDENTITY]
    held = await house.accounts.by_login("dr@example.org")
    assert held is not None
    await house.accounts.disable(held.value.id, "cli:test")
    rows[held.key] = held.row
    assert await findings(house) == {(held.key, Found.ROLLED_BACK)}
    house.disk.delete(Table.IDENTITY, held.key)
    assert await findings(house) == {(held.key, Found.DELETED)}
    house.disk.put(Table.IDENTITY, held.key, held.row)
    house.log.events = [event for event in house.log.events if not event.request.startswith(held.value.id)]
    assert await findings(house) == {(held.key, Found.INSERTED)}
    assert await findings(house, whole=False) == set()


async def test_a_session_that_is_put_back_is_named(house: MemoryHouse) -> None:
    """After it was ended; and one that the log does not know."""
    person = await house.active("eve@example.org")
    begun = await house.sign_in(person.id, HOME)
    key = house.sessions._rows.key(begun.session.digest)
    row = house.disk.rows[Table.IDENTITY][key]
    await house.sessions.end(person.id, begun.session.id)
    assert await findings(house) == set()
    house.disk.put(Table.IDENTITY, key, row)
    assert await findings(house) == {(key, Found.ROLLED_BACK)}
    house.log.events = [event for event in house.log.events if event.request != begun.session.id]
    assert await findings(house) == {(key, Found.INSERTED)}


def test_every_kind_of_row_is_known() -> None:
    """What is put into the table anywhere in identity is in the list that verification opens rows by."""
    source = "\n".join(path.read_text() for path in Path(medlock.identity.__file__).parent.rglob("*.py"))
    used = set(re.findall(r'(?:cabinet|identity)\.drawer\(\s*"([a-z-]+)"', source))
    assert used == set(KINDS)
    page = (Path(__file__).parents[2] / "docs/spec/identity.md").read_text() + (
        Path(__file__).parents[2] / "docs/spec/factors.md"
    ).read_text()
    assert all(f"`{kind}`" in page for kind in KINDS)
