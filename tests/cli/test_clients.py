"""`medlock client` and `medlock oauth keys`: what an operator types, what is shown once, what is loud."""

import json
import re

from medlock.crypto.jose import new_signer

ONE_SENTENCE = re.compile(r"medlock: [A-Z][^\n]+[.!]\n")
REDIRECT = ("--redirect", "https://app.example.org/cb")


def refused(done, code):
    """A refusal in one sentence, with nothing on stdout."""
    assert (done.code, done.out) == (code, "")
    assert ONE_SENTENCE.fullmatch(done.err), done.err


def test_a_client_from_its_registration_to_its_end(terminal):
    """Registered with a secret that is shown once, listed and shown without it, disabled, approved, given another secret."""
    made = terminal.type("client", "register", "Growth Chart", "--kind", "symmetric", *REDIRECT, "--json").json
    name, secret = made["client_id"], made.pop("client_secret")
    assert terminal.type("client", "list", "--json").json == [made]
    assert terminal.type("client", "show", name, "--json").json == made
    assert secret not in terminal.type("client", "show", name).out
    assert "Growth Chart" in terminal.type("client", "list").out
    assert terminal.type("client", "disable", name, "--json").json["status"] == "disabled"
    again = terminal.type("client", "approve", name, "--verified", "--json").json
    assert (again["status"], again["verified"]) == ("active", True)
    other = terminal.type("client", "secret", name, "--json").json["client_secret"]
    assert other not in {secret, ""}
    assert terminal.type("verify").code == 0


def test_a_name_is_no_markup(terminal):
    """What a stranger calls an app is shown as it is: it breaks no list and makes no link."""
    for number, name in enumerate(("App [/bold]", "[link=https://evil.example]Clinic[/link]", ":lock: App")):
        terminal.type("client", "register", name, *REDIRECT, "--id", f"app-{number}")
        assert name in terminal.type("client", "show", f"app-{number}").out
    done = terminal.type("client", "list")
    assert (done.code, "[/bold]" in done.out, ":lock:" in done.out) == (0, True, True)


def test_what_makes_no_sense_is_refused(terminal, tmp_path):
    """A sentence that says what to change, and nothing is registered."""
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [dict(new_signer("ES384").jwk)]}))
    for arguments in (
        ("App",),
        ("App", "--redirect", "http://app.example.org/cb"),
        ("App", *REDIRECT, "--scope", "nonsense"),
        ("App", *REDIRECT, "--pkce-optional"),
        ("<b>App", *REDIRECT),
        ("App", "--kind", "asymmetric", "--jwks", str(keys), "--scope", "system/*.rs"),
        ("App", "--kind", "asymmetric", "--jwks", str(tmp_path / "none"), "--scope", "system/*.rs"),
    ):
        refused(terminal.type("client", "register", *arguments), 2)
    assert terminal.type("client", "list", "--json").json == []
    refused(terminal.type("client", "show", "nobody"), 5)
    refused(terminal.type("client", "disable", "nobody"), 5)
    refused(terminal.type("client", "invite", "--uses", "0"), 2)


def test_doing_without_pkce_is_loud(terminal):
    """The exception for old clients says on stderr what it means."""
    done = terminal.type("client", "register", "Old", "--kind", "symmetric", *REDIRECT, "--pkce-optional", "--json")
    assert done.json["pkce_optional"] is True
    assert "without PKCE" in " ".join(done.err.split())


def test_initial_tokens_and_signing_keys(terminal):
    """An initial token is shown once; a rotated key is listed beside the one before, and nothing secret of either."""
    assert terminal.type("client", "invite", "--uses", "3", "--json").json["initial_access_token"]
    first = terminal.type("oauth", "keys", "rotate", "--json").json["kid"]
    second = terminal.type("oauth", "keys", "rotate", "--json").json["kid"]
    keys = terminal.type("oauth", "keys", "list", "--json").json
    assert [each["kid"] for each in keys] == [first, second]
    assert [bool(each["retired"]) for each in keys] == [True, False]
    assert all(set(each) == {"kid", "algorithm", "made", "retired"} for each in keys)
    assert second in terminal.type("oauth", "keys", "list").out
