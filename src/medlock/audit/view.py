"""An event as a FHIR AuditEvent (R4 §6.4), in the shape of IHE BALP 1.1; made when asked for, never stored.

The id is `log-<sequence number>`, so a reference to it is a reference into the log. When the patient's copy is dead
only the minimal copy shows: who did what kind of thing, when, to how many resources, of nobody in particular.
No BALP profile is claimed in `meta`: its agents need network addresses, which the log does not keep.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from medlock.audit import codings
from medlock.audit.codings import Coding
from medlock.audit.entries import Recorded
from medlock.audit.events import Event, Touched
from medlock.clock import instant
from medlock.fhir.extract import extract
from medlock.fhir.values import Values

Json = dict[str, Any]
_NAME = "medlock"
_DID = ("created", "read", "updated", "deleted")


def audit_event(recorded: Recorded) -> bytes:
    """The event as AuditEvent JSON."""
    return orjson.dumps(_resource(recorded))


def values(recorded: Recorded) -> Values:
    """The search values of that AuditEvent, for `fhir.match`; the account stands under agent:identifier and altid."""
    return extract(_resource(recorded))


def event_id(seq: int) -> str:
    """The logical id of entry `seq`."""
    return f"log-{seq}"


def _resource(recorded: Recorded) -> Json:
    event = recorded.event
    shape = codings.SHAPES[event.action]
    at = instant(event.recorded)
    resource: Json = {
        "resourceType": "AuditEvent",
        "id": event_id(recorded.seq),
        "meta": {"versionId": "1", "lastUpdated": at},
        "type": shape.type,
        "subtype": [shape.subtype],
        "action": shape.code,
        "recorded": at,
        "outcome": codings.OUTCOMES[event.outcome],
        "agent": _agents(event, shape),
        "source": {"observer": {"display": _NAME}, "type": [codings.SERVER_KIND]},
    }
    entities = list(_entities(recorded))
    return resource | {"entity": entities} if entities else resource


def _agents(event: Event, shape: codings.Shape) -> list[Json]:
    """The user first, then the app and this server."""
    agents = [_user(event, shape)]
    if event.client:
        agents.append(_agent(shape.client, {"identifier": {"value": event.client}}))
    agents.append(_agent(shape.server, {"display": _NAME}))
    return agents


def _user(event: Event, shape: codings.Shape) -> Json:
    if not event.account:
        return _agent(shape.user, {"display": "not authenticated"}) | {"requestor": True}
    user = _agent(shape.user, {"identifier": {"value": event.account}})
    user |= {"altId": event.account, "requestor": True}
    if event.roles:
        user["role"] = [{"text": role} for role in event.roles]
    if event.purpose:
        purpose = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": event.purpose}
        user["purposeOfUse"] = [{"coding": [purpose]}]
    return user


def _agent(kind: Coding, who: Json) -> Json:
    return {"type": {"coding": [kind]}, "who": who, "requestor": False}


def _entities(recorded: Recorded) -> list[Json]:
    event = recorded.event
    entities = []
    if event.request:
        entities.append({"type": codings.REQUEST, "what": {"identifier": {"value": event.request}}})
    if event.patient:
        what = {"reference": f"Patient/{event.patient}"}
        entities.append({"what": what, "type": codings.PERSON, "role": codings.PATIENT})
    if event.query:
        query = b64encode(event.query.encode()).decode()
        entities.append({"type": codings.OBJECT, "role": codings.QUERY, "query": query})
    entities += [_touched(each) for each in event.touched]
    entities += _decision(event)
    return entities if recorded.full else entities + _counted(recorded)


def _touched(touched: Touched) -> Json:
    return {
        "what": {"reference": f"{touched.reference}/_history/{touched.version}"},
        "type": codings.OBJECT,
        "role": codings.RESOURCE,
        "lifecycle": codings.LIFECYCLES[touched.crud],
    }


def _decision(event: Event) -> list[Json]:
    """Why it was allowed, or the private reason why not."""
    said = (("basis", event.basis), ("reason", event.reason))
    detail = [{"type": kind, "valueString": text} for kind, text in said if text]
    return [{"type": codings.OTHER, "role": codings.DECISION, "detail": detail}] if detail else []


def _counted(recorded: Recorded) -> list[Json]:
    """What is left to say of the resources when their names are gone."""
    counts = [f"{count} {did}" for count, did in zip(recorded.counts, _DID, strict=True) if count]
    text = f"Resources: {', '.join(counts)}. Their names were erased with the patient's key."
    return [{"type": codings.OBJECT, "role": codings.RESOURCE, "description": text}] if counts else []
