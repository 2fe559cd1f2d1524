"""`medlock password-policy`: what is shown, what is imported, what is written down."""

import asyncio

from medlock.app import open_app
from medlock.audit.events import Action
from medlock.audit.log import AuditQuery
from medlock.settings import Settings


def test_the_default_shows_no_deviation(terminal):
    """Every role under nist, each rule with its clauses, nothing against a standard; nothing has to be set up before."""
    shown = terminal.type("password-policy", "show", "--json").json
    (policy,) = shown["policies"]
    assert policy["profile"] == "nist"
    assert "patient" in policy["roles"]
    assert all(rule["clauses"] and not rule["deviates"] for rule in policy["rules"])
    assert shown["lists"] == [{"list": "shipped", "entries": 474_743, "one_in": 2_316_014}]


def test_deviations_are_shown_to_the_administrator(terminal, monkeypatch):
    """One role under classic: the clauses it goes against stand beside the rules, for people too."""
    monkeypatch.setenv("MEDLOCK_PASSWORD_POLICY", "nist,clinician=classic:180")
    shown = terminal.type("password-policy", "show", "--json").json
    classic = next(each for each in shown["policies"] if each["profile"] == "classic")
    assert classic["roles"] == ["clinician"]
    assert any("6.2.10" in rule["deviates"] for rule in classic["rules"])
    assert "classic for clinician" in terminal.type("password-policy", "show").out
    monkeypatch.setenv("MEDLOCK_PASSWORD_POLICY", "strict")
    wrong = terminal.type("password-policy", "show")
    assert (wrong.code, "nist or classic" in wrong.err) == (3, True)


def test_an_import_is_in_use_and_in_the_log(terminal, tmp_path):
    """The list is counted by show; the event names who imported it."""
    listed = tmp_path / "list.txt"
    listed.write_text("Plum & tractor 7 sky\nshort\n")
    assert terminal.type("password-policy", "import", listed).code == 3
    assert terminal.type("token", "create", "--role", "clinician").code == 0
    done = terminal.type("password-policy", "import", listed, "--json")
    assert done.json == {"lines": 2, "entries": 2, "passed_over": 1}
    shown = terminal.type("password-policy", "show", "--json").json
    assert [each["entries"] for each in shown["lists"]] == [474_743, 2]
    (event,) = asyncio.run(events(terminal))
    assert (event.account.startswith("cli:"), event.query) == (True, "password list import")


async def events(terminal):
    settings = Settings(data_dir=terminal.directory, passphrase_file=terminal.passphrase)
    async with open_app(settings) as app:
        return [each.event for each in await app.records.log.find(AuditQuery(action=Action.PASSWORD_LIST))]
