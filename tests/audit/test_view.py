"""The AuditEvent view: valid R4, in the shape of BALP, and silent about the dead."""

from __future__ import annotations

from base64 import b64decode

import orjson
import pytest

from audit.world import NOW, World
from medlock.audit.codings import LIFECYCLES, SHAPES
from medlock.audit.events import Action, Outcome, Touched
from medlock.audit.view import audit_event, event_id, values
from medlock.clock import instant
from medlock.fhir.match import matches
from medlock.fhir.query import Condition, DateValue, Kind, Prefix, ReferenceValue, TokenValue
from medlock.fhir.validate import validate

RESTFUL = "http://hl7.org/fhir/restful-interaction"


async def viewed(world, **given):
    """An event appended, read back and shown."""
    seq = await world.log.append(world.event(1, **given))
    return await world.log.event(seq)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("action", Action)
async def test_every_action_and_outcome_is_valid_r4(action, outcome):
    """The official definitions find nothing wrong with any event, about a patient or not, signed in or not."""
    world = World()
    for given_ in ({}, {"slot": 0, "patient": "", "touched": ()}, {"account": "", "roles": (), "client": ""}):
        recorded = await viewed(world, action=action, outcome=outcome, reason="no consent", **given_)
        resource = orjson.loads(audit_event(recorded))
        assert validate(resource) == []
        assert resource["id"] == f"log-{recorded.seq}"
        assert resource["action"] in "CRUDE"


def test_every_action_has_a_shape():
    """An action added to the log is not forgotten here."""
    assert set(SHAPES) == set(Action)
    assert set(LIFECYCLES) == set("CRUD")


async def test_a_read_has_the_shape_of_balp():
    """Type rest, subtype read, action R; client as destination, server as source, user as recipient; entities."""
    world = World()
    resource = orjson.loads(
        audit_event(
            await viewed(
                world,
                patient="p1",
                account="dr-a",
                roles=("clinician",),
                client="app-1",
                purpose="ETREAT",
                request="r-1",
                query="Observation?code=8480-6",
                touched=(Touched("Observation/o1", 3, "R"), Touched("Patient/p1", 1, "R")),
            )
        )
    )
    assert resource["type"]["code"] == "rest"
    assert resource["subtype"] == [{"system": RESTFUL, "code": "read", "display": "read"}]
    assert (resource["action"], resource["outcome"]) == ("R", "0")
    assert resource["recorded"] == resource["meta"]["lastUpdated"] == instant(NOW + 1)
    user, client, server = resource["agent"]
    assert [agent["type"]["coding"][0]["code"] for agent in resource["agent"]] == ["IRCP", "110152", "110153"]
    assert (user["who"], user["altId"], user["requestor"]) == ({"identifier": {"value": "dr-a"}}, "dr-a", True)
    assert user["role"] == [{"text": "clinician"}]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "ETREAT"
    assert client["who"] == {"identifier": {"value": "app-1"}}
    assert (client["requestor"], server["requestor"]) == (False, False)
    request, patient, query, observation, record, decision = resource["entity"]
    assert (request["type"]["code"], request["what"]["identifier"]["value"]) == ("XrequestId", "r-1")
    assert (patient["what"], patient["role"]["code"]) == ({"reference": "Patient/p1"}, "1")
    assert b64decode(query["query"]) == b"Observation?code=8480-6"
    assert observation["what"] == {"reference": "Observation/o1/_history/3"}
    assert observation["lifecycle"]["code"] == "6"
    assert record["what"] == {"reference": "Patient/p1/_history/1"}
    assert decision["detail"] == [{"type": "basis", "valueString": "role clinician"}]


@pytest.mark.parametrize(
    ("action", "code", "client", "server"),
    [
        (Action.CREATE, "C", "110153", "110152"),
        (Action.UPDATE, "U", "110153", "110152"),
        (Action.SEARCH, "E", "110153", "110152"),
        (Action.DELETE, "D", "110150", "custodian"),
    ],
)
async def test_roles_follow_the_flow_of_data(action, code, client, server):
    """BALP: on writes and queries the client is the source, on deletes an application before a custodian."""
    resource = orjson.loads(audit_event(await viewed(World(), action=action)))
    assert resource["action"] == code
    assert [agent["type"]["coding"][0]["code"] for agent in resource["agent"][1:]] == [client, server]


async def test_a_denial_shows_its_private_reason_as_detail():
    """The reason is for the patient and the officer, beside the outcome of a refusal."""
    resource = orjson.loads(audit_event(await viewed(World(), outcome=Outcome.DENIED, reason="no relationship")))
    assert resource["outcome"] == "4"
    assert {"type": "reason", "valueString": "no relationship"} in resource["entity"][-1]["detail"]


async def test_after_erasure_only_the_minimal_part_shows():
    """Who, what kind, when and how many stay; patient, resources, query and reason are gone."""
    world = World()
    recorded = await viewed(
        world, slot=5, patient="PATIENT-MARK", query="QUERY-MARK", reason="REASON-MARK", account="dr-a"
    )
    world.keys.destroy(5)
    text = audit_event(await world.log.event(recorded.seq))
    resource = orjson.loads(text)
    assert validate(resource) == []
    assert b"MARK" not in text
    assert b"obs-1" not in text
    assert resource["agent"][0]["altId"] == "dr-a"
    assert resource["entity"][-1]["description"].startswith("Resources: 1 read.")


def token(param, code, system=None):
    return Condition(param, Kind.TOKEN, (TokenValue(system, code),))


def reference(param, type_, id_):
    return Condition(param, Kind.REFERENCE, (ReferenceValue(type_, id_),))


def date(prefix, low, high):
    return Condition("date", Kind.DATE, (DateValue(prefix, low, high),))


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        (token("_id", "log-0"), True),
        (token("_id", "log-1"), False),
        (reference("patient", "Patient", "p1"), True),
        (reference("patient", "", "p2"), False),
        (reference("entity", "Observation", "o1"), True),
        (reference("entity", "Observation", "o2"), False),
        (token("altid", "dr-a"), True),
        (Condition("agent", Kind.REFERENCE, (TokenValue(None, "dr-a"),), "identifier"), True),
        (Condition("agent", Kind.REFERENCE, (TokenValue(None, "dr-b"),), "identifier"), False),
        (token("action", "R"), True),
        (token("action", "C"), False),
        (token("outcome", "0"), True),
        (token("type", "rest"), True),
        (token("subtype", "read", RESTFUL), True),
        (token("subtype", "vread"), False),
        (date(Prefix.EQ, NOW, NOW + 1_000), True),
        (date(Prefix.LT, NOW, NOW + 1), False),
        (date(Prefix.GE, NOW, NOW + 1), True),
    ],
)
async def test_the_view_is_searchable(condition, fits):
    """The parameters that the server offers on AuditEvent match by the view's own values."""
    touched = (Touched("Observation/o1", 3, "R"),)
    recorded = await viewed(World(), account="dr-a", patient="p1", touched=touched)
    found = matches(
        [condition], "AuditEvent", values(recorded), id=event_id(recorded.seq), updated_ms=recorded.event.recorded
    )
    assert found is fits
