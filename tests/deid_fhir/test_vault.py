"""The token vault: two people together, never one alone, and never without the audit."""

import json
from pathlib import Path

import pytest

from deid_fhir import naive
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.vault import Custodian, create, read
from medlock.errors import BadRequest, MedlockError, NotFound, SetupError, Unavailable

CASES = json.loads((Path(__file__).parents[1] / "vectors/deid/vault.json").read_text())
PROJECT = Pseudonyms(bytes(range(32)))
ADA, BEN = Custodian("Ada", "correct horse battery"), Custodian("Ben", "staple of another kind")
TOKEN = PROJECT.id("example")


def file_of(lines):
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def opened(case):
    """What our implementation reads out of a vector."""
    vault = read(file_of(case["lines"]), PROJECT)
    people = [Custodian(name, passphrase) for name, passphrase in case["people"].items()]
    found = vault.reveal(vault.entries, (people[0], people[-1]), "a vector", lambda _: None)
    return {each.token: [each.id, each.days] for each in found}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case):
    """The vector that is as written opens in both implementations to the same; every other opens in neither."""
    if case["valid"]:
        assert opened(case) == naive.open_vault(case["lines"], case["people"])
        return
    with pytest.raises(MedlockError):
        opened(case)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the naive reader falls over in its own ways
        naive.open_vault(case["lines"], case["people"])


@pytest.fixture(scope="module")
def vault():
    """A vault with one entry, written and read again."""
    made = create(PROJECT, (ADA, BEN))
    made.add(TOKEN, "example", -37)
    return read(made.write(), PROJECT)


def test_both_together(vault):
    """Both custodians, in either order, learn who it is, and the audit was told first."""
    told = []
    found = vault.reveal([TOKEN], (BEN, ADA), "consent to recontact", told.append)
    assert [(each.id, each.days) for each in found] == [("example", -37)]
    assert told[0].tokens == (TOKEN,)
    assert told[0].reason == "consent to recontact"
    assert set(told[0].custodians) == {"Ada", "Ben"}
    assert naive.open_vault(
        [json.loads(line) for line in vault.write().splitlines()], {"Ada": ADA.passphrase, "Ben": BEN.passphrase}
    ) == {TOKEN: ["example", -37]}


@pytest.mark.parametrize(
    ("people", "error"),
    [
        ((ADA, ADA), BadRequest),
        ((ADA, Custodian("Ben", ADA.passphrase)), BadRequest),
        ((Custodian("Ada", BEN.passphrase), Custodian("Ben", BEN.passphrase)), BadRequest),
        ((ADA, Custodian("Eve", BEN.passphrase)), BadRequest),
    ],
)
def test_never_one_alone(vault, people, error):
    """One custodian twice, one who guesses, or somebody else: nothing, and the audit hears of no reversal."""
    told = []
    with pytest.raises(error):
        vault.reveal([TOKEN], people, "curiosity", told.append)
    assert told == []


def test_no_log_no_data(vault):
    """When the audit cannot take it, nobody is named."""

    def broken(_reversal):
        raise Unavailable("The log cannot be written.")

    with pytest.raises(Unavailable):
        vault.reveal([TOKEN], (ADA, BEN), "recontact", broken)


def test_a_reason_and_a_known_token_are_needed(vault):
    """Without a reason or for a token that is not here there is no answer."""
    with pytest.raises(BadRequest):
        vault.reveal([TOKEN], (ADA, BEN), " ", lambda _: None)
    with pytest.raises(NotFound):
        vault.reveal([TOKEN, PROJECT.id("x")], (ADA, BEN), "recontact", lambda _: None)


@pytest.mark.parametrize("name", ["Ada", "Ben"])
def test_destruction_is_final(vault, name):
    """When either share is destroyed both custodians together open nothing, and the rest of the file does not help."""
    rest = read(vault.without(name).write(), PROJECT)
    with pytest.raises(SetupError, match="never"):
        rest.reveal([TOKEN], (ADA, BEN), "too late", lambda _: None)
    assert vault.shares[name == "Ben"].sealed.hex().encode() not in rest.write()


def test_a_vault_belongs_to_a_project(vault):
    """With another project's key the vault is refused."""
    with pytest.raises(BadRequest, match="another project"):
        read(vault.write(), Pseudonyms(bytes(32)))


@pytest.mark.parametrize(
    "pair", [(ADA, ADA), (ADA, Custodian("Ben", ADA.passphrase)), (ADA, Custodian("Ben", "short"))]
)
def test_custodians_are_two_people(pair):
    """Same name, same passphrase or a short one: no vault is made."""
    with pytest.raises(BadRequest):
        create(PROJECT, pair)


def test_the_file_names_nobody(vault):
    """No id, no day and no passphrase is in the file; entries of different lengths look alike."""
    other = create(PROJECT, (ADA, BEN))
    other.add("t1", "x", -1)
    other.add("t2", "a" * 40, -364)
    assert len({len(sealed) for sealed in other.entries.values()}) == 1
    text = vault.write()
    assert b"example" not in text
    assert b"-37" not in text
    assert ADA.passphrase.encode() not in text
    assert "horse" not in repr(ADA)
