"""Rules and dictionaries alone find each of the kinds, with exact places, and leave clinical language alone."""

import pytest

from medlock.deid.text import EVERY_KIND, Kind, Known, Redactor
from medlock.errors import BadRequest

RULES = Redactor("en", tagger=False)
REGLAS = Redactor("es", tagger=False)

ENGLISH = [
    ("Patient name: Joan Alcott, admitted", Kind.NAME, "Joan Alcott"),
    ("seen by Dr. van der Berg today", Kind.NAME, "Dr. van der Berg"),
    ("Ms. O'Neil-Garcia agrees", Kind.NAME, "Ms. O'Neil-Garcia"),
    ("for Mary S., who", Kind.NAME, "Mary S."),
    ("lives at 44 W. Oak St. Apt 3B now", Kind.STREET, "44 W. Oak St. Apt 3B"),
    ("write to PO Box 77 please", Kind.STREET, "PO Box 77"),
    ("is from Springfield, IL and", Kind.PLACE, "Springfield, IL"),
    ("comes from Fresno for", Kind.PLACE, "Fresno"),
    ("in zip code 94103 since", Kind.ZIP, "94103"),
    ("treated at St. Mary's Hospital for", Kind.HOSPITAL, "St. Mary's Hospital"),
    ("seen at UCLA Medical Center for", Kind.HOSPITAL, "UCLA Medical Center"),
    ("visited our Chicago clinic for", Kind.HOSPITAL, "Chicago clinic"),
    ("on March 5th, 2021 with", Kind.DATE, "March 5th, 2021"),
    ("a 94-year-old man", Kind.AGE, "94-year-old"),
    ("call (555) 123-4567 now", Kind.PHONE, "(555) 123-4567"),
    ("fax: 555-222-1111 now", Kind.FAX, "555-222-1111"),
    ("mail j.doe+x@example.co.uk now", Kind.EMAIL, "j.doe+x@example.co.uk"),
    ("mail jdoe (at) example (dot) com now", Kind.EMAIL, "jdoe (at) example (dot) com"),
    ("SSN 123-45-6789 on file", Kind.SSN, "123-45-6789"),
    ("MRN: SF-998877)", Kind.MRN, "SF-998877"),
    ("insurance ID HP-678901 valid", Kind.PLAN, "HP-678901"),
    ("account number 9876543210 open", Kind.ACCOUNT, "9876543210"),
    ("license # D1234567 seen", Kind.LICENCE, "D1234567"),
    ("VIN 1HGCM82633A004352 noted", Kind.VEHICLE, "1HGCM82633A004352"),
    ("pacemaker serial SN884421 checked", Kind.DEVICE, "SN884421"),
    ("see https://x.example.org/p?id=1 for", Kind.URL, "https://x.example.org/p?id=1"),
    ("from 10.20.30.40 at", Kind.IP, "10.20.30.40"),
    ("fingerprint ID: 8837261 stored", Kind.BIOMETRIC, "8837261"),
    ("photo face_2231.jpg attached", Kind.PHOTO, "face_2231.jpg"),
    ("accession A-20391 read", Kind.ID, "A-20391"),
]
SPANISH = [
    ("Nombre: Ernesto Rivera.\n", Kind.NAME, "Ernesto Rivera"),
    ("Remitido por: Dra. Ana Pérez Gil\n", Kind.NAME, "Dra. Ana Pérez Gil"),
    ("Domicilio: C/ Mayor 12, 3º B.\n", Kind.STREET, "C/ Mayor 12, 3º B"),
    ("vive en 28016 Madrid desde", Kind.ZIP, "28016"),
    ("ingresó en el Hospital Universitario La Paz por", Kind.HOSPITAL, "Hospital Universitario La Paz"),
    ("Fecha: 03/03/1946.", Kind.DATE, "03/03/1946"),
    ("varón de 70 años que", Kind.AGE, "70 años"),
    ("una mujer con", Kind.SEX, "mujer"),
    ("su madre refiere", Kind.RELATIVE, "madre"),
    ("NHC: 368503.", Kind.MRN, "368503"),
    ("NASS: 26 63514095.", Kind.PLAN, "26 63514095"),
    ("DNI 12345678Z vigente", Kind.LICENCE, "12345678Z"),
    ("Tel. 612 345 678 o", Kind.PHONE, "612 345 678"),
    ("en 2005 fue", Kind.DATE, "2005"),
]
CLINICAL = [
    *(
        "a positive Chaddock reflex",
        "a Framingham Risk Score of 20%",
        "Wilson's disease and Graves disease",
        "Foley catheter in place",
    ),
    *(
        "Stevens-Johnson syndrome",
        "von Willebrand disease",
        "the GUSTO trial",
        "Rutherford score of 4",
        "Los Angeles grade B",
        "Gleason 3+4",
    ),
    *(
        "a 34-year-old woman",
        "an 89-year-old man",
        "diagnosed in 2021",
        "BP 120/80, HR 72",
        "WBC 12,000 and platelets 250,000",
        "20 mg of Coumadin",
    ),
    *(
        "2023 ACC/AHA guidelines",
        "HbA1c of 7.5%",
        "Mental Health follow-up",
        "Alzheimer’s disease",
        "COVID-19 vaccine",
        "vitamin B12 1000 mcg",
    ),
]


def found(engine, text):
    """Kind and words of each span."""
    return [(span.kind, text[span.start : span.end]) for span in engine.find(text)]


@pytest.mark.parametrize(("text", "kind", "words"), ENGLISH, ids=[f"{kind}-{words}" for _, kind, words in ENGLISH])
def test_english(text, kind, words):
    """Each identifier is found whole, as its kind, and nothing else with it."""
    assert found(RULES, text) == [(kind, words)]


@pytest.mark.parametrize(("text", "kind", "words"), SPANISH, ids=[f"{kind}-{words}" for _, kind, words in SPANISH])
def test_spanish(text, kind, words):
    """The same in Spanish, under the policy that also takes sex, kin, every age and years."""
    assert (kind, words) in found(REGLAS, text)


def test_all_kinds_of_safe_harbor_have_an_example():
    """The list above leaves out no kind that HIPAA names."""
    assert {kind for _, kind, _ in ENGLISH} == set(Kind) - {
        Kind.COUNTRY,
        Kind.SEX,
        Kind.RELATIVE,
        Kind.PROFESSION,
        Kind.OTHER,
    }


@pytest.mark.parametrize("text", CLINICAL)
@pytest.mark.parametrize("tagger", [False, True])
def test_clinical_language_stays(text, tagger):
    """Eponyms, scores, doses, ages up to 89 and years alone are no identifiers, for the model neither."""
    text = f"Treatment of a patient with {text} and no other finding."
    assert found(Redactor("en", tagger=tagger), text) == []


def test_policy_decides():
    """The wider policy takes what Safe Harbor lets stand."""
    text = "A 34-year-old seen in 2021."
    assert found(RULES, text) == []
    wider = Redactor("en", EVERY_KIND, tagger=False)
    assert found(wider, text) == [(Kind.AGE, "34-year-old"), (Kind.DATE, "2021")]


def test_echo():
    """A name once given with a title is found again without it."""
    text = "Dr. Weatherby examined her.\nLater Weatherby signed."
    assert [words for _, words in found(RULES, text)] == ["Dr. Weatherby", "Weatherby"]


def test_relative_dates_need_company():
    """Last week dates an event only where a person or facility is named beside it."""
    assert found(RULES, "Pain since last week, no fever.") == []
    assert (Kind.DATE, "last week") in found(RULES, "Seen at St. Luke's Hospital last week.")


def test_auto_reads_each_text_in_its_language():
    """03/04 in a Spanish text is found beside an age that only the Spanish policy takes."""
    engine = Redactor("auto", tagger=False)
    assert Kind.AGE in [span.kind for span in engine.find("El paciente es un varón de 40 años con fiebre.")]
    assert engine.find("The patient is a 40-year-old man with fever.") == []


def test_another_language_is_refused():
    """A language that is not read is no reason to guess."""
    with pytest.raises(BadRequest, match="Language is one of"):
        Redactor("fr")


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "….", "😀", "a", "\u200b", "1", "@", "é" * 5000, "A" * 5000, "1/" * 2000]
)
def test_odd_texts_are_survived(text):
    """Empty, tiny, monotonous and strange texts come back without a fault."""
    for engine in (Redactor("en"), Redactor("es")):
        done = engine.apply(text, replace=lambda span: span.text)
        assert done.text == text


REPEATED = [
    "A ",
    "a.",
    "A.",
    "1-",
    "1 ",
    "12/1",
    "Aa-",
    "Aa'",
    "St. ",
    "C/ A",
    "a@",
    "a.b@",
    "[at]",
    "Jan ",
    "1 de ",
    "aA1-",
    "::",
    "12 Elm ",
    "_",
]


@pytest.mark.parametrize("piece", REPEATED)
def test_repetition_does_not_hang(piece):
    """Text made to send patterns back and forth is read in one pass: quadratic time would run into the time limit."""
    known = Known(("Mary Lee", "Ann Aa"), (), ("1111111",), ("12 Elm Street, Aa",), ("555-111-1111",), ("a.b@aa.com",))
    text = piece * (30_000 // len(piece))
    for engine in (RULES, REGLAS):
        assert engine.apply(text, known, replace=lambda span: span.text).text == text
