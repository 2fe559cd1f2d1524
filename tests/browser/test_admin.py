"""Clients are administered in the browser: two people with passkeys, and a script of our own page that asks."""

import json

from medlock.crypto.jose import new_signer
from smart.world import jwks_of

ASK = """async ([method, path, body]) => {
  const more = body === null ? {} : {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(path, {method, ...more});
  return {status: answer.status, body: await answer.json()};
}"""
PROGRAM = {
    "name": "Registry",
    "kind": "asymmetric",
    "client_id": "registry",
    "scopes": "system/*.rs",
    "jwks": json.loads(jwks_of(new_signer("ES384"), "one")),
}


def ask(visitor, method, path, body=None):
    """What a script of the page that is open is answered."""
    return visitor.page.evaluate(ASK, [method, path, body])


def settled(person, name):
    """An administrator who has made their passkey."""
    found = person(name)
    found.join()
    found.page.click("text=Create a passkey")
    found.enrol_passkey("Key")
    found.keep_codes()
    return found


def test_two_administrators_let_a_program_in(person):
    """One registers it, another one approves it; a stranger may nothing."""
    sam, sue = settled(person, "sam"), settled(person, "sue")
    made = ask(sam, "POST", "/admin/clients", PROGRAM)
    assert (made["status"], made["body"]["status"]) == (201, "pending")
    assert ask(sam, "POST", "/admin/clients/registry/approve", {"version": 1})["status"] == 400
    assert ask(sue, "POST", "/admin/clients/registry/approve", {"version": 1})["body"]["status"] == "active"
    listed = {each["client_id"]: each["status"] for each in ask(sue, "GET", "/admin/clients")["body"]["clients"]}
    assert listed["registry"] == "active"
    assert ask(sue, "POST", "/admin/clients/registry/disable", {})["body"]["status"] == "disabled"
    stranger = person("tess")
    stranger.go("/sign-in")
    refused = ask(stranger, "GET", "/admin/clients")
    assert (refused["status"], refused["body"]["error"]) == (401, "login_required")
