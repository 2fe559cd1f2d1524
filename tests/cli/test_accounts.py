"""`medlock account` and `medlock session`: what the operator keeps, as the console script does it."""

import pytest

from medlock.app import open_app
from medlock.audit.search import AuditQuery
from medlock.console import operator_name, run, settings_for
from medlock.errors import NotAuthenticated
from medlock.identity.ground import Place
from medlock.identity.sessions import Proven

HOME = Place("192.0.2.7", "browser", "", "Firefox")


def create(terminal, *arguments):
    """A new account and its code."""
    done = terminal.type("account", "create", *arguments, "--json")
    assert done.code == 0, done.err
    return done.json


def inside(terminal, act):
    """Something done on the store by a program."""

    async def opened():
        async with open_app(settings_for(terminal.directory)) as app:
            return await act(app)

    return run(opened())


def test_an_account_from_its_making_to_its_end(terminal):
    """Made, shown, listed, given other roles, disabled, enabled; each command says what it is then."""
    made = create(terminal, "Dr Okafor", "--role", "clinician", "--person", "Practitioner/d1", "--login", "Dr.Okafor")
    assert len(made["code"].replace("-", "")) == 24
    shown = terminal.type("account", "show", "dr.okafor", "--json").json
    assert (shown["id"], shown["status"], shown["roles"]) == (made["account"], "invited", ["clinician"])
    assert [each["id"] for each in terminal.type("account", "list", "--json").json] == [made["account"]]
    changed = terminal.type("account", "roles", made["account"], "clinician", "privacy-officer", "--json").json
    assert changed["roles"] == ["clinician", "privacy-officer"]
    assert terminal.type("account", "disable", "dr.okafor", "--json").json["status"] == "disabled"
    refused = terminal.type("account", "invite", "dr.okafor")
    assert (refused.code, "enable it first" in refused.err) == (5, True)
    assert terminal.type("account", "enable", "dr.okafor", "--json").json["status"] == "invited"
    assert made["code"] not in terminal.type("account", "show", "dr.okafor").out


def test_what_makes_no_sense_is_refused_with_a_sentence(terminal):
    """Unknown roles, records that do not fit, names that are taken, accounts that are not there."""
    create(terminal, "Ann", "--role", "patient", "--person", "Patient/p1", "--login", "ann")
    for code, arguments in [
        (2, ("create", "Bob", "--role", "king")),
        (2, ("create", "Bob", "--role", "patient")),
        (2, ("create", "Bob", "--role", "patient", "--person", "Patient/p2", "--hours", "0")),
        (5, ("create", "Bob", "--role", "patient", "--person", "Patient/p1")),
        (5, ("create", "Bob", "--role", "clinician", "--login", "ANN")),
        (5, ("show", "nobody")),
        (2, ("represent", "ann", "p2", "--related", "Patient/x")),
        (2, ("represent", "ann", "p2", "--related", "RelatedPerson/r", "--until", "yesterday")),
        (
            2,
            (
                "represent",
                "ann",
                "p2",
                "--related",
                "RelatedPerson/r",
                "--since",
                "2030-01-02",
                "--until",
                "2030-01-01",
            ),
        ),
    ]:
        done = terminal.type("account", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert done.err.startswith("medlock: ")


def test_standing_in_for_a_patient(terminal):
    """Noted with its days; verified only when somebody saw the papers; taken back."""
    create(terminal, "Guardian", "--role", "patient", "--person", "RelatedPerson/r1", "--login", "guardian")
    related = ("--related", "RelatedPerson/r1")
    noted = terminal.type("account", "represent", "guardian", "p1", *related, "--json").json["represents"][0]
    assert (noted["patient"], noted["verified"], noted["until"]) == ("p1", "", "")
    days = ("--since", "2026-01-01", "--until", "2044-12-31")
    noted = terminal.type("account", "represent", "guardian", "p1", *related, *days, "--verified", "--json").json
    (one,) = noted["represents"]
    assert (one["since"], one["until"]) == ("2026-01-01T00:00:00.000Z", "2045-01-01T00:00:00.000Z")
    assert one["verified"]
    assert terminal.type("account", "dismiss", "guardian", "p1", "--json").json["represents"] == []


def test_sessions_are_listed_and_ended(terminal):
    """Those of one account or of all; ended one by one or together; a code for an account in use needs --reset."""
    made = create(terminal, "Ann", "--role", "patient", "--person", "Patient/p1", "--login", "ann")

    async def join_twice(app):
        joined = await app.identity.sign_in.join(made["code"], "", "", HOME)
        held = await app.identity.accounts.standing(joined.session.account)
        await app.identity.sessions.start(held, Proven(("pwd",), "aal1"), HOME)
        return joined.session.id

    session = inside(terminal, join_twice)
    listed = terminal.type("session", "list", "--account", "ann", "--json").json
    assert {each["id"] for each in listed} >= {session}
    assert len(terminal.type("session", "list", "--json").json) == 2
    assert terminal.type("session", "end", session, "--json").json == {"ended": 1}
    assert terminal.type("session", "end", session).code == 5
    assert terminal.type("session", "end", "ann", "--all", "--json").json == {"ended": 1}
    assert terminal.type("session", "list", "--json").json == []
    refused = terminal.type("account", "invite", "ann")
    assert (refused.code, "--reset" in refused.err) == (5, True)
    assert terminal.type("account", "invite", "ann", "--reset", "--json").json["account"] == made["account"]


def test_an_unlock_lets_the_person_try_again(terminal):
    """After wrong passwords the account shows what failed and how long it waits; afterwards nothing."""
    made = create(terminal, "Ann", "--role", "patient", "--person", "Patient/p1", "--login", "ann")

    async def guess(app):
        await app.identity.sign_in.join(made["code"], "", "", HOME)
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                await app.identity.sign_in.password("ann", "not the password", HOME)

    inside(terminal, guess)
    shown = terminal.type("account", "show", "ann", "--json").json
    assert (shown["failed"], bool(shown["waits_until"]), bool(shown["last_failed"])) == (5, True, True)
    assert terminal.type("account", "unlock", "ann").code == 0
    shown = terminal.type("account", "show", "ann", "--json").json
    assert (shown["failed"], shown["waits_until"], shown["last_failed"]) == (0, "", "")


def test_what_the_operator_does_is_in_the_log_by_name(terminal):
    """Each act on an account is an event by whoever types."""
    create(terminal, "Ann", "--role", "patient", "--person", "Patient/p1", "--login", "ann")
    for command in ("disable", "enable", "unlock"):
        terminal.type("account", command, "ann")

    async def found(app):
        return [each.event for each in await app.records.log.find(AuditQuery())]

    events = [event for event in inside(terminal, found) if event.action.startswith("identity:account")]
    assert [event.action.rpartition(":")[2] for event in events if event.account == operator_name()] == [
        event.action.rpartition(":")[2] for event in events
    ]
    assert {event.action.rpartition(":")[2] for event in events} == {"create", "invite", "disable", "enable", "unlock"}


def test_a_second_operator_approves(terminal, monkeypatch):
    """One's own account waits, is not approved by oneself, and is by another; the log has both names."""
    monkeypatch.setenv("LOGNAME", "alice")
    create(terminal, "Alice", "--role", "nurse", "--login", "Alice")
    shown = terminal.type("account", "show", "alice", "--json").json
    assert (shown["status"], shown["asked_by"]) == ("waiting", "cli:alice")
    refused = terminal.type("account", "approve", "alice")
    assert (refused.code, "Another operator" in refused.err) == (5, True)
    monkeypatch.setenv("LOGNAME", "bob")
    assert terminal.type("account", "approve", "alice", "--json").json["status"] == "invited"

    async def acts(app):
        return [
            (each.event.action, each.event.account)
            for each in await app.records.log.find(AuditQuery(limit=20))
            if each.event.action.startswith("identity:account")
        ]

    assert inside(terminal, acts)[:1] == [("identity:account:approve", "cli:bob")]


def test_with_two_persons_nobody_is_let_in_by_one(terminal, monkeypatch):
    """Every account that treats waits, others do not; and no token is made for a role that treats."""
    monkeypatch.setenv("MEDLOCK_TWO_PERSONS", "on")
    create(terminal, "Dr Berg", "--role", "clinician", "--login", "berg")
    create(terminal, "Cleo", "--role", "front-desk", "--login", "cleo")
    found = {each["login"]: each["status"] for each in terminal.type("account", "list", "--json").json}
    assert found == {"berg": "waiting", "cleo": "invited"}
    refused = terminal.type("token", "create", "--role", "lab")
    assert (refused.code, "two persons" in refused.err) == (5, True)
    assert terminal.type("token", "create", "--role", "privacy-officer").code == 0
    monkeypatch.setenv("MEDLOCK_TWO_PERSONS", "maybe")
    assert terminal.type("account", "list").code == 3
