"""Notes read by the whole text engine: known identifiers in every spelling, unknown people, dates in step."""

import base64
import random
import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_fhir import planted
from deid_fhir.data import SYNTHEA, bundle
from deid_fhir.scanner import leaks, secrets
from deid_text.variants import SPELLINGS, People
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.note_dates import redated_words
from medlock.deid.fhir.notes import NoteCleaner
from medlock.deid.fhir.presets import GDPR, LIMITED, SAFE_HARBOR
from medlock.deid.fhir.rtf import text_of, written
from medlock.deid.text.policy import SAFE_HARBOR as POLICY
from medlock.deid.text.redactor import Redactor
from medlock.deid.text.spans import Kind, Span
from medlock.fhir.clinic import clinic

TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
NOTED = [path for path in SYNTHEA if "uscore" in str(path) and "nformation" not in path.name]
SAFE = Deidentifier(SAFE_HARBOR, KEY, NoteCleaner())
EUROPE = Deidentifier(GDPR, KEY, NoteCleaner())
PATIENT = {
    "resourceType": "Patient",
    "id": "pat-000123",
    "name": [{"family": "Villanueva", "given": ["Catherine", "Jo"]}],
    "gender": "female",
    "birthDate": "1961-07-13",
    "telecom": [{"system": "phone", "value": "617-555-0143"}, {"system": "email", "value": "cvill@nunez.example"}],
    "address": [{"line": ["14 Wharfside Road"], "city": "Brackwater", "state": "ME", "postalCode": "04612"}],
    "identifier": [{"system": "urn:mrn", "value": "MRN-0047113"}],
}
DOCTOR = {"resourceType": "Practitioner", "id": "pr-1", "name": [{"family": "Okonkwo", "given": ["Ngozi"]}]}
HOUSE = {"resourceType": "Organization", "id": "org-1", "name": "Saint Brendan General Hospital"}


def record(*resources, patient=PATIENT):
    about = {"subject": {"reference": f"Patient/{patient['id']}"}}
    entries = [{"resource": each} for each in (patient, DOCTOR, HOUSE, *(each | about for each in resources))]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def document(text, kind="text/plain"):
    data = text if isinstance(text, bytes) else text.encode()
    attachment = {"contentType": kind, "data": base64.b64encode(data).decode()}
    return {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "content": [{"attachment": attachment}],
    }


def cleaned(engine, text, kind="text/plain", patient=PATIENT):
    out = engine.apply(record(document(text, kind), patient=patient), TODAY)["entry"][3]["resource"]
    data = base64.b64decode(out["content"][0]["attachment"]["data"])
    return text_of(data) if "rtf" in kind else data.decode()


ENGLISH = """Ms. Vilanueva, Cathrine was seen by Dr Ngozi Okonkwo at Saint Brendan Generl Hospital on March 14, 2019.
Her neighbour Rosalind Hargreaves drove her. C. Villanueva lives at 14 Wharfsid Rd. Call 617 555 0134.
Mother is 93 years old. Has Parkinson disease, Crohn's disease and takes warfarin, metformin 500 mg, Plavix."""
SPANISH = """La paciente Caterine Villanueva acude el 14 de marzo de 2019 con su vecina Rosalinda Hernández Pérez.
Vive en Brackwater. Padece enfermedad de Parkinson y toma metformina 500 mg. Su madre tiene 93 años."""


@pytest.mark.parametrize("engine", [SAFE, EUROPE], ids=["safe-harbor", "gdpr"])
@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/rtf"])
def test_english(engine, kind):
    """Typos of the known, a neighbour whom no resource names, a hospital: gone; illness and drugs stay."""
    made = {"application/rtf": written(ENGLISH), "text/html": f"<p>{ENGLISH}</p>".encode()}
    text = cleaned(engine, made.get(kind, ENGLISH), kind)
    for gone in ("vilan", "villan", "cathr", "okonkwo", "ngozi", "hargreaves", "rosalind", "wharf", "0134", "93",
                 "brendan", "march 14, 2019"):  # fmt: skip
        assert gone not in text.lower(), gone
    for kept in ("Parkinson disease", "Crohn's disease", "warfarin", "metformin 500 mg", "Plavix", "90+ years old"):
        assert kept in text, kept


@pytest.mark.parametrize("engine", [SAFE, EUROPE], ids=["safe-harbor", "gdpr"])
def test_spanish(engine):
    """The same in Spanish, known and unknown people, a date in words, an age."""
    text = cleaned(engine, SPANISH)
    for gone in ("caterine", "villanueva", "rosalinda", "hernández", "brackwater", "14 de marzo", "93 años"):
        assert gone not in text.lower(), gone
    for kept in ("enfermedad de Parkinson", "metformina 500 mg", "90+ años", "La paciente"):
        assert kept in text, kept


def narrative(div):
    """What becomes of a Narrative with this content."""
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
    out = SAFE.apply(record({"resourceType": "Observation", "id": "o", "status": "final", "text": text}), TODAY)
    return out["entry"][3]["resource"]["text"]["div"].partition(">")[2].removesuffix("</div>")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>Seen: <b>Cathrine</b> Villanueva on <i>2019-03-14</i></p>",
         "<p>Seen: <b>[NAME]</b> [NAME] on <i>2019</i></p>"),
        ("<p>Tel <b>617</b>-<i>555</i>-0143 today &amp; later</p>", "<p>Tel <b>[PHONE]</b><i></i> today &amp; later</p>"),
        ("<table><tr><td>by Dr. Rosalind</td><td>aspirin 81 mg</td></tr></table>",
         "<table><tr><td>by [NAME]</td><td>aspirin 81 mg</td></tr></table>"),
        ("<ul><li>fine &lt; 3</li><li>617</li><li>well</li></ul>",) * 2,
    ],
)  # fmt: skip
def test_narratives_are_read_as_a_whole_and_keep_their_structure(before, after):
    """What runs across tags goes, the tags stay."""
    assert narrative(before) == after


def test_displays_of_codes_stay_terms():
    """A term of a code system is no sentence: "VDRL" is no hospital; a name that the record knows goes from it."""
    code = {"system": "http://loinc.org", "code": "5292-8"}
    seen = {"resourceType": "Observation", "id": "o", "status": "final"}
    for display, after in (("VDRL", "VDRL"), ("Td (adult) preservative free",) * 2, ("for Cathrine", "for [NAME]")):
        out = SAFE.apply(record(seen | {"code": {"coding": [code | {"display": display}]}}), TODAY)
        assert out["entry"][3]["resource"]["code"]["coding"][0]["display"] == after


def test_a_note_and_its_chart_speak_of_one_person():
    """Pseudonymised: a misspelled name gets the stand-in of the right one, which is the one in the resources."""
    out = EUROPE.apply(record(document("Dr. Okonkwo saw Cathrine Villanuevo.")), TODAY)["entry"]
    patient, doctor = out[0]["resource"]["name"][0], out[1]["resource"]["name"][0]
    text = base64.b64decode(out[3]["resource"]["content"][0]["attachment"]["data"]).decode()
    assert text == f"Dr. {doctor['family']} saw {patient['given'][0]} {patient['family']}."


FORMS = ["{d:%Y-%m-%d}", "{d.month}/{d.day}/{d.year}", "{d:%d.%m.%Y}", "{d:%B} {d.day}, {d.year}",
         "{d.day} {d:%B} {d.year}", "{d:%Y-%m-%d}T10:30:00Z", "{d:%B} {d.day} {d.year}"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(day=st.dates(date(1955, 1, 1), date(2026, 1, 1)), form=st.sampled_from(FORMS), name=st.text("ab1", min_size=1))
def test_dates_in_notes_move_with_the_record(day, form, name):
    """For any patient and day: the date in the note is as far from the one in a resource as before, spelled alike."""
    patient = PATIENT | {"id": name}
    seen = {"resourceType": "Observation", "id": "o", "status": "final", "effectiveDateTime": day.isoformat()}
    text = f"He was seen on {form.format(d=day)} and is well."
    entries = EUROPE.apply(record(seen, document(text), patient=patient), TODAY)["entry"]
    moved = date.fromisoformat(entries[3]["resource"]["effectiveDateTime"])
    data = entries[4]["resource"]["content"][0]["attachment"]["data"]
    assert moved == day + timedelta(EUROPE.days(name))
    # May has no short form, so what is written for it may be short or long.
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    short = form.replace("%B", "%b") if months[day.month - 1] == "May" else form
    forms = [form, short]
    if day.day > 9 and day.month > 9:  # with two digits each it cannot be told whether there would be zeros
        forms.append("{d:%m/%d/%Y}")
    wanted = {f"He was seen on {each.format(d=moved)} and is well." for each in forms}
    assert base64.b64decode(data).decode() in wanted


def by(days):
    """The rule of a record whose dates move by so many days."""

    def rule(iso):
        day = date.fromisoformat((iso + ("-15" if len(iso) == 7 else "-07-01" if len(iso) == 4 else ""))[:10])
        return (day + timedelta(days)).isoformat()[: len(iso)]

    return rule


@pytest.mark.parametrize(
    ("words", "days", "after"),
    [
        ("March 2019", -31, "February 2019"),
        ("14 de marzo de 2019", -10, "4 de marzo de 2019"),
        ("March 14", 10, "March 24"),
        ("3-5 March 2019", 2, "5-7 March 2019"),
        ("03.04.2019", 1, "04.04.2019"),
        ("March 30", -40, "[DATE]"),  # 18 or 19 February: the year decides
        ("28-30 March 2019", 2, "[DATE]"),  # would run over the end of the month
        ("31 February 2019", 2, "[DATE]"),
        ("last Friday", 2, "[DATE]"),
        ("1/1/50", -20, "[DATE]"),  # the century would change its meaning
    ],
)
def test_what_can_be_moved_exactly_is_and_all_else_goes(words, days, after):
    """Partial dates, ranges and impossible days: moved in their own spelling, or a tag."""
    assert redated_words(words, by(days), day_first=False) == after


def test_a_further_model_is_asked():
    """What only a model handed in finds goes as well."""

    class Ships:
        name = "model:ships"

        def find(self, text):
            return [Span(m.start(), m.end(), Kind.ID, 0.9, self.name, m[0]) for m in re.finditer("Zyxwvian", text)]

    asked = Deidentifier(SAFE_HARBOR, KEY, NoteCleaner(Redactor("auto", POLICY, detectors=(Ships(),))))
    text = "Fell from a dinghy of the Zyxwvian kind."
    assert cleaned(SAFE, text) == text
    assert cleaned(asked, text) == "Fell from a dinghy of the [ID] kind."


def test_where_dates_stay_they_stay_and_where_years_stay_old_ones_go():
    """The limited set keeps dates; Safe Harbor keeps years, but none that tells an age over 89."""
    limited = Deidentifier(LIMITED, KEY, NoteCleaner())
    assert "seen on March 14, 2019 and in 2015" in cleaned(limited, "He was seen on March 14, 2019 and in 2015.")
    text = cleaned(SAFE, "Father born in 1921, seen March 14, 2019 and in 2015; takes 1925 mg.")
    assert text == "Father born in [DATE], seen 2019 and in 2015; takes 1925 mg."


def test_years_alone_move_as_in_the_resources():
    """Under a shift a year alone in prose becomes what a year alone in a resource becomes."""
    days = EUROPE.days(PATIENT["id"])
    year = (date(2015, 7, 1) + timedelta(days)).year
    assert cleaned(EUROPE, "Stroke in 2015, 2000 mg daily.") == f"Stroke in {year}, 2000 mg daily."


CALM = [
    "Lou Gehrig disease, Foley catheter, Babinski sign negative, Apgar 9, Glasgow coma scale 15.",
    "BP 120/80, HR 72, SpO2 98 %, A1c 7.1 %, Lasix 40 mg, Coumadin 5 mg, L4-5 disc, 3/5 strength.",
    "Hodgkin lymphoma, Addison disease, Whipple procedure, Kaposi sarcoma; amoxicillin-clavulanate 875 mg.",
    "Enfermedad de Crohn, signo de Babinski negativo, sonda de Foley, enalapril 5 mg cada 12 horas.",
]


@pytest.mark.parametrize("text", CALM)
def test_eponyms_drugs_and_readings_stay(text):
    """What is named after somebody, and what is written like a date, is no identifier."""
    assert cleaned(SAFE, text) == text


def person_of(known):
    """A Patient who holds the identifiers that the sweep's own generator invents; its relative as a contact's record."""
    first, *rest = known.names[0].split(" ")
    relative = known.names[1].split(" ")
    street, city, state_zip = known.addresses[0].split(", ")
    address = {"line": [street], "city": city, "state": state_zip[:2], "postalCode": state_zip[3:]}
    numbers = [{"system": "urn:x", "value": value} for value in known.numbers]
    contact = {"name": {"family": " ".join(relative[1:]), "given": [relative[0]]}}
    telecom = [{"system": "phone", "value": known.phones[0]}, {"system": "email", "value": known.emails[0]}]
    middle = rest[:1] if len(rest) == 2 and rest[1][0].isupper() and rest[0][0].isupper() else []
    name = {"given": [first, *middle], "family": " ".join(rest[len(middle) :])}
    return PATIENT | {"name": [name], "birthDate": known.dates[0], "telecom": telecom, "address": [address],
                      "identifier": numbers, "contact": [contact]}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_spelled_variants_of_what_is_known_never_survive(seed):
    """For any person and any spelling (order, initials, accents, typos, formats): no word of it is left in the note."""
    people = People(seed)
    known = people.person()
    field = people.rng.choice(sorted(SPELLINGS))
    variant = SPELLINGS[field](people.rng, people.rng.choice(getattr(known, field)))
    text = cleaned(SAFE, f"The chart says {variant}. Plan unchanged.", patient=person_of(known))
    spoken = set(re.findall(r"\w+", variant.lower())) - LITTLE
    left = set(re.findall(r"\w+", re.sub(r"\[[A-Z]+\]", " ", text).lower())) - set(
        "the chart says plan unchanged".split()
    )
    years = {word for word in left if re.fullmatch(r"(?:19|20)\d\d", word)} if field == "dates" else set()
    assert not spoken & (left - years), (field, variant, text)


LITTLE = set("de la del van der st the of to ma tx oh".split())  # states may stay


@pytest.mark.skipif(not NOTED, reason="shared data are not here")
@pytest.mark.parametrize("path", NOTED, ids=lambda path: path.name[:12])
def test_whole_records_with_planted_typos(path):
    """Synthea's US Core records: all notes cleaned, and none of what is known left of a note with one typo each."""
    original = bundle(path)
    patient = next(e["resource"] for e in original["entry"] if e["resource"]["resourceType"] == "Patient")
    known = {(kind, text) for kind, text in secrets(original) if text.lower() not in {"the", "of"}}
    rng = random.Random(path.name)
    spelled = {text for kind, text in known if kind != 18 and len(text) > 4}
    slips = {text: planted.slipped(rng, text) for text in sorted(spelled) if not planted.numbered(text)}
    text = planted.note([*spelled, *slips.values()], rng)
    about = {"subject": {"reference": f"Patient/{patient['id']}"}}
    original["entry"].append({"resource": document(text) | about})
    out = SAFE.apply(original, TODAY)
    assert leaks(out, known | {(0, slip) for slip in slips.values() if len(slip) > 3}) == set()
    notes = [e["resource"] for e in out["entry"] if e["resource"]["resourceType"] == "DocumentReference"]
    assert all("data" in note["content"][0]["attachment"] for note in notes)


@pytest.mark.parametrize("engine", [SAFE, EUROPE], ids=["safe-harbor", "gdpr"])
def test_the_synthetic_clinic(engine):
    """Its records with a planted note: nothing that they know is left, whole or with one typo."""
    for original in clinic(7, 6, today=TODAY):
        patients = [e["resource"] for e in original["entry"] if e["resource"]["resourceType"] == "Patient"]
        known = {(kind, text) for kind, text in secrets(original) if kind in {1, 4, 6, 8} and len(text) > 4}
        rng = random.Random(str(sorted(known)))
        slips = {planted.slipped(rng, text) for _, text in sorted(known)}
        about = {"subject": {"reference": f"Patient/{patients[0]['id']}"}} if patients else {}
        text = planted.note([*(text for _, text in sorted(known)), *sorted(slips)], rng)
        out = engine.apply({"resourceType": "Bundle", "type": "collection", "entry": [
            *original["entry"], {"resource": document(text) | about}]}, TODAY)  # fmt: skip
        data = out["entry"][-1]["resource"]["content"][0]["attachment"]["data"]
        left = base64.b64decode(data).decode().lower()
        assert known
        # Stand-ins come from the stock of the clinic, so that some are the names of other people in it.
        sought = slips if engine is EUROPE else {*(text for _, text in known), *slips}
        stock = " ".join(sorted(text.lower() for _, text in known))
        assert [
            word
            for word in sought
            if re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", left)
            and not (engine is EUROPE and word.lower() in stock)
        ] == []
