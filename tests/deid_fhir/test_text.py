"""Prose, narratives and attachments: what the record knows of a person is gone from them, and dates go along."""

import base64
import io
import re
import unicodedata
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deid_fhir.data import SYNTHEA, bundle
from deid_fhir.scanner import leaks, secrets
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.exact import ExactCleaner, folded
from medlock.deid.fhir.presets import GDPR, SAFE_HARBOR
from medlock.deid.fhir.rtf import text_of, written
from medlock.deid.fhir.written_dates import redated

pypdf = pytest.importorskip("pypdf")
TODAY = date(2026, 6, 1)
NOTED = [path for path in SYNTHEA if "uscore" in str(path) and "nformation" not in path.name]
KEY = bytes(range(32))
SAFE = Deidentifier(SAFE_HARBOR, KEY, ExactCleaner())
EUROPE = Deidentifier(GDPR, KEY, ExactCleaner())
PATIENT = {
    "resourceType": "Patient",
    "id": "pat-000123",
    "name": [{"family": "Núñez-O'Brien", "given": ["Zoë", "Marie"]}, {"use": "maiden", "family": "Svärd"}],
    "gender": "female",
    "birthDate": "1961-07-13",
    "telecom": [{"system": "phone", "value": "(617) 555-0143"}, {"system": "email", "value": "zoe@nunez.example"}],
    "address": [{"line": ["14 Wharf Road"], "city": "Brackwater", "state": "ME", "postalCode": "04612"}],
    "identifier": [{"system": "urn:mrn", "value": "MRN-0047-11"}, {"system": "urn:ssn", "value": "219-09-9999"}],
}
NOTE = """Ms. NÚÑEZ-O'BRIEN, Zoe (née Svard) was seen on 3/14/2019 and on March 2, 2019.
Born 13 July 1961. Call 617.555.0143 or +1 617 555 0143, mail zoe@nunez.example.
Lives at 14 Wharf
Road, BRACKWATER 04612. MRN 0047 11, SSN 219-09-9999. Marie's sister is well. Follow-up 2019-03-20T10:30:00Z.
Her mother is 93 years old. Temperature 38.2, BP 120/80, A1c 7.1 %, aspirin 81 mg daily."""
MUST_GO = ["nunez", "brien", "zoe", "svard", "marie", "wharf", "brackwater", "04612", "0047", "219-09", "0143", "93"]
MUST_STAY = ["38.2", "120/80", "7.1 %", "aspirin 81 mg daily", "sister is well"]


def record(*resources):
    about = {"subject": {"reference": "Patient/pat-000123"}}
    entries = [{"resource": PATIENT}, *({"resource": each | about} for each in resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def document(kind, data):
    attachment = {
        "contentType": kind,
        "data": base64.b64encode(data).decode(),
        "url": "http://h.org/n/47",
        "title": "Note on Zoë",
        "hash": "aGFzaA==",
        "size": 9,
    }
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "content": [{"attachment": attachment}],
    }


def cleaned(engine, kind, data):
    out = engine.apply(record(document(kind, data)), TODAY)["entry"][1]["resource"]
    attachment = out["content"][0]["attachment"]
    return attachment, base64.b64decode(attachment.get("data", ""))


def plain(text):
    return "".join(mark for mark in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(mark))


def check(text):
    """Nothing that must go is in the text, and what is about the illness is."""
    left = [secret for secret in MUST_GO if re.search(rf"(?<![a-z0-9]){secret}(?![a-z0-9])", plain(text))]
    assert left == []
    assert [kept for kept in MUST_STAY if kept not in text] == []
    assert "13 July 1961" not in text
    assert "3/14/2019" not in text


@pytest.mark.parametrize("engine", [SAFE, EUROPE], ids=["safe-harbor", "gdpr"])
def test_plain_text(engine):
    """A note as an attachment: cleaned, its type kept, its address, hash and size gone."""
    attachment, data = cleaned(engine, "text/plain", NOTE.encode())
    check(data.decode())
    assert not {"url", "hash", "size"} & attachment.keys()
    assert attachment["contentType"].startswith("text/plain")
    assert "Zo" not in attachment["title"]


def test_safe_harbor_leaves_the_year():
    """Under Safe Harbor a date in a note keeps its year, as one in a resource."""
    text = cleaned(SAFE, "text/plain", NOTE.encode())[1].decode()
    assert "was seen on 2019 and on 2019" in text
    assert "Born 1961" in text


def test_a_shifted_note_keeps_its_distances():
    """Under a shift the dates of a note are as far from those of the resources as they were, in the same spelling."""
    days = EUROPE.subject("pat-000123", TODAY).days
    text = cleaned(EUROPE, "text/plain", NOTE.encode())[1].decode()
    when = date(2019, 3, 14) + timedelta(days)
    assert f"{when.month}/{when.day}/{when.year}" in text
    assert f"{date(2019, 3, 2) + timedelta(days):%B} {(date(2019, 3, 2) + timedelta(days)).day}, " in text
    assert f"{date(2019, 3, 20) + timedelta(days)}T10:30:00Z" in text


def test_a_note_and_its_chart_speak_of_one_person():
    """The stand-in in the note is the one in the Patient."""
    out = EUROPE.apply(record(document("text/plain", b"Zo\xc3\xab was seen.")), TODAY)
    given = out["entry"][0]["resource"]["name"][0]["given"][0]
    data = out["entry"][1]["resource"]["content"][0]["attachment"]["data"]
    assert base64.b64decode(data).decode() == f"{given} was seen."


def pdf(text):
    """A PDF with one page that shows `text`, and a title that names somebody."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(600, 800)
    font = pypdf.generic.DictionaryObject(
        {
            pypdf.generic.NameObject(key): pypdf.generic.NameObject(value)
            for key, value in {
                "/Type": "/Font",
                "/Subtype": "/Type1",
                "/BaseFont": "/Helvetica",
                "/Encoding": "/WinAnsiEncoding",
            }.items()
        }
    )
    resources = pypdf.generic.DictionaryObject(
        {
            pypdf.generic.NameObject("/Font"): pypdf.generic.DictionaryObject(
                {pypdf.generic.NameObject("/F1"): writer._add_object(font)}
            )
        }
    )
    page[pypdf.generic.NameObject("/Resources")] = resources
    lines = "".join(f"({line}) Tj T* " for line in text.replace("(", "\\(").replace(")", "\\)").splitlines())
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(f"BT /F1 10 Tf 12 TL 20 700 Td {lines} ET".encode("cp1252"))
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    writer.add_metadata({"/Title": "Zoe Nunez"})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def html(text):
    return f"<html><head><title>Zoë</title></head><body><!-- Zoë --><p title='Zoë'>{text}</p><script>Zoë</script></body></html>".encode()


@pytest.mark.parametrize(
    ("kind", "data", "after"),
    [
        ("text/html", html(NOTE), "text/html; charset=utf-8"),
        ("application/xhtml+xml", html(NOTE), "text/html; charset=utf-8"),
        ("text/plain; charset=ISO-8859-1", NOTE.encode("latin-1"), "text/plain; charset=utf-8"),
        ("application/rtf", written(NOTE).replace(b"\\uc1", b"\\uc1{\\info{\\author Zo\\'eb}}"), "application/rtf"),
        ("application/pdf", pdf(NOTE), "text/plain; charset=utf-8"),
    ],
    ids=["html", "xhtml", "latin-1", "rtf", "pdf"],
)
def test_formats(kind, data, after):
    """HTML, RTF, PDF and other charsets: the text is cleaned, what is hidden beside it is gone."""
    attachment, out = cleaned(SAFE, kind, data)
    text = text_of(out) if "rtf" in kind else out.decode()
    check(text)
    assert attachment["contentType"] == after


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/jpeg", b"\xff\xd8\xff"),
        ("application/dicom", b"DICM"),
        ("text/plain", b"\xff\xfe\xff"),
        ("application/pdf", b"%PDF-1.4 broken"),
        ("application/pdf", b"no pdf"),
        ("application/rtf", b"no rtf"),
        ("text/xml", b"<a>Zoe</a>"),
        ("text/xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><ClinicalDocument xmlns='urn:hl7-org:v3'>&b;</ClinicalDocument>"),
        ("application/x-unheard-of", b"Zoe"),
    ],
)
def test_what_cannot_be_cleaned_is_dropped(kind, data):
    """Pictures, broken files and unknown types: no data leave."""
    attachment, out = cleaned(SAFE, kind, data)
    assert out == b""
    assert "data" not in attachment


def test_without_a_cleaner_no_text_leaves():
    """The default: attachments, narratives and notes are dropped."""
    note = document("text/plain", NOTE.encode()) | {
        "description": "About Zoë",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Zoë</div>'},
    }
    out = Deidentifier(SAFE_HARBOR, KEY).apply(record(note), TODAY)["entry"][1]["resource"]
    assert not {"text", "description"} & out.keys()
    assert "data" not in out["content"][0].get("attachment", {})


def narrative(div):
    note = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'},
    }
    return SAFE.apply(record(note), TODAY)["entry"][1]["resource"].get("text", {}).get("div")


def test_narratives():
    """Structure stays, names and attributes go; an identifier that runs across tags goes too."""
    assert narrative("<p>Seen: <b>Zoë</b> on 2019-03-14</p>").endswith("<p>Seen: <b>[NAME]</b> on 2019</p></div>")
    assert "617" not in narrative("<p>Tel <b>617</b>-<i>555</i>-0143 today</p>")
    assert narrative('<p title="Zoë">fine &lt; 3</p>').endswith("<p>fine &lt; 3</p></div>")
    assert narrative("<script>x</script>") is None


CDA = """<?xml version="1.0"?><!-- Zoe --><ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2015-08-01"/>
<id root="1.2.3.4" extension="MRN-0047-11"/><code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary"/><title>Summary for Zoë Núñez-O'Brien</title>
<effectiveTime value="20190314101500-0500"/><languageCode code="en-US"/>
<recordTarget><patientRole><id root="1.2" extension="219-09-9999"/><addr><streetAddressLine>14 Wharf Road</streetAddressLine></addr><telecom value="tel:617-555-0143"/>
<patient><name><given>Zoë</given></name><administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19610713"/></patient></patientRole></recordTarget>
<component><structuredBody><component><section><code code="10160-0" codeSystem="2.16.840.1.113883.6.1"/><title>Meds</title>
<text><table><tr><td ID="m1">Zoe takes aspirin 81 mg since March 2, 2019</td></tr></table></text>
<entry><observation classCode="OBS" moodCode="EVN"><code code="8480-6" codeSystem="2.16.840.1.113883.6.1"/><effectiveTime value="20190302"/><value xsi:type="PQ" value="120" unit="mm[Hg]"/>
<participant><code code="ZOE47" codeSystem="1.2.840.114350.1"/></participant><value xsi:type="ST">Zoe said so</value></observation></entry></section></component></structuredBody></component></ClinicalDocument>"""


@pytest.mark.parametrize("engine", [SAFE, EUROPE], ids=["safe-harbor", "gdpr"])
def test_cda(engine):
    """A C-CDA keeps its coded statements and cleaned text, and loses everybody it names."""
    text = cleaned(engine, "text/xml", CDA.encode())[1].decode()
    found = plain(text)
    assert not any(
        secret in found
        for secret in ["zoe", "nunez", "wharf", "0143", "219-09", "0047", "19610713", "20190314", "20190302", "114350"]
    )
    assert all(
        kept in text
        for kept in ["34133-9", "8480-6", 'unit="mm[Hg]"', 'value="120"', "aspirin 81 mg", 'code="F"', "POCD_HD000040"]
    )


def test_cda_times_keep_their_distance():
    """The document and the note in it are as many days apart as before."""
    text = cleaned(EUROPE, "text/xml", CDA.encode())[1].decode()
    stamps = re.findall(r'<effectiveTime value="(\d{8})', text)
    days = [date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:])) for stamp in stamps]
    assert days[0] - days[1] == date(2019, 3, 14) - date(2019, 3, 2)


SPELLINGS = st.sampled_from(
    [str.upper, str.lower, str.title, str, folded, str.swapcase, lambda t: unicodedata.normalize("NFD", t)]
)


@settings(max_examples=300, deadline=None)
@given(
    words=st.permutations(["Zoë", "Marie", "Núñez-O'Brien", "Svärd", "Brackwater", "(617) 555-0143", "MRN-0047-11"]),
    spell=st.lists(SPELLINGS, min_size=7, max_size=7),
    between=st.sampled_from([" ", ", ", "\n", "; ", " / ", " (", ") "]),
)
def test_known_identifiers_in_any_spelling(words, spell, between):
    """Whatever the order, case, accents and punctuation: none of the record's identifiers survives in a note."""
    text = "Seen: " + between.join(act(word) for act, word in zip(spell, words, strict=True)) + " today"
    out = plain(cleaned(SAFE, "text/plain", text.encode())[1].decode())
    assert not any(
        re.search(rf"(?<![a-z0-9]){secret}(?![a-z0-9])", out)
        for secret in ["zoe", "marie", "nunez", "brien", "svard", "brackwater", "0143", "0047"]
    )
    assert out.endswith("today")


@given(
    day=st.dates(date(1940, 1, 1), date(2026, 1, 1)),
    days=st.integers(-364, 364),
    form=st.sampled_from(
        [
            "{d:%Y-%m-%d}",
            "{d.month}/{d.day}/{d.year}",
            "{d:%d.%m.%Y}",
            "{d:%B} {d.day}, {d.year}",
            "{d.day} {d:%b} {d.year}",
        ]
    ),
)
def test_written_dates_move_in_their_own_spelling(day, days, form):
    """A date in a note becomes the moved date, spelled the same way; the way back gives the same text."""

    def rule(by):
        return lambda iso: (date.fromisoformat(iso) + timedelta(by)).isoformat()

    # May has no short form, so it cannot tell how long its neighbours are to be written.
    assume("%B" not in form or 5 not in {day.month, (day + timedelta(days)).month})
    assume("%b" not in form or 5 not in {day.month, (day + timedelta(days)).month})
    text = f"seen {form.format(d=day)}, well"
    out = redated(text, rule(days))
    assert out == f"seen {form.format(d=day + timedelta(days))}, well"
    assert redated(out, rule(-days)) == text


@pytest.mark.parametrize(
    "text", ["BP 120/80", "L4-5 disc", "ratio 1/2", "room 12-3", "9.5 mg", "grade 3/4/5000000", "May help", "in march"]
)
def test_what_is_no_date_stays(text):
    """Readings, ratios and words are left alone."""
    assert redated(text, lambda _: None) == text


@pytest.mark.skipif(not SYNTHEA, reason="shared data are not here")
@pytest.mark.parametrize("path", NOTED, ids=lambda path: path.name[:12])
def test_whole_records_with_their_notes(path):
    """The US Core records with every note, display and narrative cleaned instead of dropped: the scanner finds nothing."""
    original = bundle(path)
    out = SAFE.apply(original, TODAY)
    notes = [entry["resource"] for entry in out["entry"] if entry["resource"]["resourceType"] == "DocumentReference"]
    assert notes
    assert all("data" in note["content"][0]["attachment"] for note in notes)
    known = {(kind, text) for kind, text in secrets(original) if text.lower() not in {"the", "of"}}
    assert leaks(out, known) == set()
