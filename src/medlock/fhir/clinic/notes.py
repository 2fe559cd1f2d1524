"""Clinical notes: texts composed from the clinic's own phrases, kept as DocumentReferences of typed plain text.

A note repeats in prose what the coded resources of the visit say, with names and telephones in it, as real notes
do: a search over codes alone would miss them, and de-identification must find them.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from medlock.fhir.clinic.chart import Chart, Visit
from medlock.fhir.clinic.staff import house_of, organisation
from medlock.fhir.clinic.terms import CLINIC, US_CORE, Json, Term, loinc, reference

TITLES: dict[str, Term] = {
    "progress": loinc("11506-3", "Progress note"),
    "history": loinc("34117-2", "History and physical note"),
    "consult": loinc("11488-4", "Consult note"),
    "discharge": loinc("18842-5", "Discharge summary"),
    "emergency": loinc("34111-5", "Emergency department Note"),
    "telephone": loinc("34748-4", "Telephone encounter Note"),
    "psychiatry": loinc("34788-0", "Psychiatry Consult note"),
    "procedure": loinc("28570-0", "Procedure note"),
}


class Story(NamedTuple):
    """What the author wants to say: why the patient came, what was found, what it means, what happens next."""

    kind: str
    came: str
    found: str
    means: str
    plan: str


_OPENINGS = (
    "{who} came today because of {came}.",
    "Seen in clinic: {who}, {age} years old, with {came}.",
    "{who} reports {came}, has read the leaflet we gave last time and brings questions.",
    "Visit arranged by telephone. Reason: {came}. {who} arrived on time and gave the history clearly.",
    "Thank you for letting us see {who} ({age}), who describes {came}.",
)
_WITH_PARENT = (
    "Seen with a parent: {who}, {age} years old; {came}.",
    "{who} comes with the mother. Reason: {came}.",
    "The grandmother brings {who} today; the mother joins by telephone. Reason: {came}.",
)
_HOME = (
    "At home in {town} there are no new worries.",
    "Lives in {town} and can be called on {phone}.",
    "Work and sleep are as before. Tobacco: see social history.",
    "A neighbour helps with shopping. Emergency contact is unchanged.",
    "No travel, no new medicines from elsewhere, no herbal products.",
    "Transport to {town} is difficult on weekdays; a virtual visit is preferred next time.",
)
_EXAMS = (
    "Well in appearance, not in distress. Heart sounds regular, chest clear, abdomen soft.",
    "Alert, oriented, good colour. No swelling of the ankles. Skin without new lesions.",
    "Examination limited to the complaint. Otherwise unremarkable.",
    "Reflexes brisk and equal, gait steady. Ears and throat without redness.",
    "Comfortable at rest. Lymph nodes not enlarged. Pulses present and equal.",
)
_CHILD_EXAMS = (
    "Lively and curious, good colour. Heart and lungs without findings, hips move freely.",
    "Drinks and sleeps well. Follows a light with the eyes, turns to a voice.",
    "Quiet at first, then plays. Throat and ears clear, belly soft, skin without rash.",
)
_CLOSINGS = (
    "Return sooner if it gets worse. Written advice handed over.",
    "The plan was repeated in the patient's own words and agreed.",
    "Results will be released to the portal when they are back; a call is wished if anything is abnormal.",
    "Next appointment made at the desk. Prescription sent to the pharmacy.",
    "Time spent with the patient including counselling: {minutes} minutes.",
)


def note(chart: Chart, visit: Visit, story: Story, labels: tuple[str, ...] = ()) -> None:
    """Write the note of a visit, labelled like the visit unless told otherwise."""
    text = _compose(chart, visit, story)
    data = text.encode()
    title = TITLES[story.kind]
    attachment = {
        "contentType": "text/plain; charset=utf-8",
        "language": "en-US",
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        "title": f"{title.display}, {visit.day.isoformat()}",
        "creation": visit.end.isoformat(),
    }
    ref = chart.add("DocumentReference", _document(chart, visit, title, attachment), labels or visit.labels)
    chart.notes.append((ref, visit))


def _document(chart: Chart, visit: Visit, title: Term, attachment: Json) -> Json:
    category = {
        "system": US_CORE.replace("StructureDefinition/us-core-", "CodeSystem/us-core-documentreference-category")
    }
    period = {"start": visit.start.isoformat(), "end": visit.end.isoformat()}
    return {
        "identifier": [{"system": CLINIC + "document", "value": f"D{chart.person.number:05d}{len(chart.resources)}"}],
        "status": "current",
        "docStatus": "final",
        "type": title.concept(),
        "category": [{"coding": [category | {"code": "clinical-note", "display": "Clinical Note"}]}],
        "subject": reference(chart.person.ref, chart.person.name.shown),
        "date": visit.end.isoformat(),
        "author": [visit.clinician.ref],
        "custodian": organisation(house_of(visit.place) if visit.place else "clinic"),
        "content": [{"attachment": attachment}],
        "context": {"encounter": [visit.ref], "period": period},
    }


def _compose(chart: Chart, visit: Visit, story: Story) -> str:
    chance, words = chart.chance, _words(chart, visit, story)
    child = chart.person.age(visit.day) < 10
    opening = chance.pick(_WITH_PARENT if child else _OPENINGS)
    exam = chance.pick(_CHILD_EXAMS if child else _EXAMS)
    home, closing = chance.pick(_HOME), chance.pick(_CLOSINGS)
    parts = [
        f"{TITLES[story.kind].display.upper()}",
        f"Patient: {words['who']}   born {chart.person.born.isoformat()}   record {chart.person.id}",
        f"Date: {visit.start:%Y-%m-%d %H:%M}   Author: {visit.clinician.shown}",
        "",
        (opening + " " + home).format_map(words),
        f"Findings: {story.found} {exam}",
        f"Known problems: {_known(chart)}.",
        f"Assessment: {story.means}",
        f"Plan: {story.plan} {closing.format_map(words)}",
        f"Signed: {visit.clinician.shown}",
    ]
    return "\n".join(parts) + "\n"


def _known(chart: Chart) -> str:
    """The problem list in prose, without what is labelled sensitive: that stays in notes labelled alike."""
    return ", ".join(problem.term.display.lower() for problem in chart.problems if not problem.labels) or "none"


def _words(chart: Chart, visit: Visit, story: Story) -> dict[str, object]:
    person = chart.person
    return {
        "who": person.name.shown,
        "age": person.age(visit.day),
        "came": story.came,
        "town": chart.household.home.town.name,
        "phone": person.mobile,
        "minutes": round((visit.end - visit.start).total_seconds() / 60) % 300,
    }
