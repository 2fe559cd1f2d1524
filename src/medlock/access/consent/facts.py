"""What a resource says about itself, as far as consents ask: codes, authors, dates, references.

The table says for each type where its content is dated and where its author stands. A type that has no such element
cannot lack it: it is as old as its last update, and nobody wrote it. A type that has the element and leaves it empty is
of unknown date or author, and an unknown satisfies every deny.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from medlock.access.consent.codes import labels_of
from medlock.access.consent.model import Facts
from medlock.fhir.dates import Interval, interval, period
from medlock.fhir.references import literal_references, local_target

Json = Mapping[str, Any]

# Type: elements that date the content, the first that is there counts | elements that name its author.
_TABLE: Final = """
AdverseEvent: detected date recordedDate | recorder
AllergyIntolerance: recordedDate onsetDateTime | recorder asserter
Appointment: created start | participant.actor
AppointmentResponse: start | actor
CarePlan: created period | author contributor
CareTeam: period | participant.onBehalfOf
ChargeItem: enteredDate occurrenceDateTime occurrencePeriod | enterer performer.actor
Claim: created | enterer provider
ClaimResponse: created | requestor
ClinicalImpression: date effectiveDateTime effectivePeriod | assessor
Communication: sent received | sender
CommunicationRequest: authoredOn | requester sender
Composition: date | author attester.party
Condition: recordedDate onsetDateTime onsetPeriod | recorder asserter
Consent: dateTime | performer
CoverageEligibilityRequest: created | enterer provider
DetectedIssue: identifiedDateTime identifiedPeriod | author
DeviceRequest: authoredOn | requester
DeviceUseStatement: recordedOn timingDateTime timingPeriod | source
DiagnosticReport: effectiveDateTime effectivePeriod issued | performer resultsInterpreter
DocumentManifest: created | author
DocumentReference: date context.period | author authenticator
Encounter: period | participant.individual
EpisodeOfCare: period | careManager
ExplanationOfBenefit: created | enterer provider
FamilyMemberHistory: date |
Flag: period | author
Goal: statusDate startDate | expressedBy
GuidanceResponse: occurrenceDateTime | performer
ImagingStudy: started | interpreter referrer
Immunization: recorded occurrenceDateTime | performer.actor
ImmunizationEvaluation: date |
ImmunizationRecommendation: date |
Invoice: date | issuer participant.actor
List: date | source
MeasureReport: date period | reporter
Media: createdDateTime createdPeriod issued | operator
MedicationAdministration: effectiveDateTime effectivePeriod | performer.actor
MedicationDispense: whenHandedOver whenPrepared | performer.actor
MedicationRequest: authoredOn | requester recorder
MedicationStatement: dateAsserted effectiveDateTime effectivePeriod | informationSource
NutritionOrder: dateTime | orderer
Observation: effectiveDateTime effectivePeriod effectiveInstant issued | performer
Procedure: performedDateTime performedPeriod | recorder asserter performer.actor
Provenance: recorded occurredDateTime occurredPeriod | agent.who
QuestionnaireResponse: authored | author source
RequestGroup: authoredOn | author
ResearchSubject: period |
RiskAssessment: occurrenceDateTime occurrencePeriod | performer
ServiceRequest: authoredOn occurrenceDateTime occurrencePeriod | requester
Specimen: collection.collectedDateTime collection.collectedPeriod receivedTime | collection.collector
SupplyDelivery: occurrenceDateTime occurrencePeriod | supplier
SupplyRequest: authoredOn | requester
Task: authoredOn lastModified | requester owner
VisionPrescription: dateWritten created | prescriber
"""
Paths = tuple[tuple[str, ...], ...]


def _parsed() -> Mapping[str, tuple[Paths, Paths]]:
    found: dict[str, tuple[Paths, Paths]] = {}
    for line in _TABLE.strip().splitlines():
        type_, _, rest = line.partition(":")
        dates, _, authors = rest.partition("|")
        found[type_] = (
            tuple(tuple(each.split(".")) for each in dates.split()),
            tuple(tuple(each.split(".")) for each in authors.split()),
        )
    return MappingProxyType(found)


_WHERE: Final = _parsed()
_MAIN: Final = ("code", "type", "medicationCodeableConcept", "vaccineCode", "productOrService")


def facts_of(resource: Json, labels: tuple[str, ...], updated: int, *, type_: str, id_: str, base: str = "") -> Facts:
    """The facts of a valid resource; `labels` are those sealed with it, `updated` when it was written, in ms."""
    dates, authors = _WHERE.get(type_, ((), ()))
    return Facts(
        type_,
        id_,
        labels=labels_of(labels),
        profiles=frozenset((resource.get("meta") or {}).get("profile") or ()),
        codes=frozenset(_coded(value for name in _MAIN for value in _at(resource, (name,)))),
        any_codes=frozenset(_coded([resource])),
        authored=_authored(resource, dates) if dates else (updated, updated + 1),
        updated=updated,
        authors=_authors(resource, authors, base) if authors else frozenset(),
        references=references_of(resource, base),
    )


def references_of(resource: Json, base: str = "") -> frozenset[str]:
    """Every resource of this server that it refers to, `Type/id`."""
    found = (local_target(target, base) for _, target in literal_references(dict(resource)))
    return frozenset("/".join(each) for each in found if each is not None)


def _at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What stands under a path, lists walked through."""
    if isinstance(node, list):
        for each in node:
            yield from _at(each, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _at(node[path[0]], path[1:])


def _coded(nodes: Iterator[Any] | list[Any]) -> Iterator[str]:
    """Every coding anywhere in these, as system|code."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if isinstance(node.get("code"), str):
                yield f"{node.get('system', '')}|{node['code']}"
            waiting += node.values()


def _authored(resource: Json, dates: Paths) -> Interval | None:
    """When the content came to be: of a period, when it began."""
    for path in dates:
        for value in _at(resource, path):
            found = period(value) if isinstance(value, dict) else interval(value)
            if found is not None:
                return (found[0], found[0] + 1) if isinstance(value, dict) else found
    return None


def _authors(resource: Json, authors: Paths, base: str) -> frozenset[str] | None:
    """Who wrote it; None when nobody is named, or somebody who is not a resource of this server."""
    named = [value for path in authors for value in _at(resource, path) if isinstance(value, dict)]
    found = {local_target(str(each.get("reference", "")), base) for each in named}
    if not found or None in found:
        return None
    return frozenset("/".join(each) for each in found if each is not None)
