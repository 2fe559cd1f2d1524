"""Short illnesses and injuries: how often they come by age, where they are seen, and what is done about them."""

from __future__ import annotations

from typing import NamedTuple

from medlock.fhir.clinic.terms import Term, icd, sct


class Ailment(NamedTuple):
    """`where`: rooms, virtual, emergency or ward. `days` is how long it lasts; weights compare within an age."""

    codes: tuple[Term, Term]
    youngest: int
    oldest: int
    weight: float
    where: str
    days: int
    complaint: str
    drugs: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    procedure: Term | None = None
    fever: bool = False
    sex: str = ""
    since: int = 0  # the first year in which it could be caught


AILMENTS = (
    Ailment(
        (sct("195662009", "Acute viral pharyngitis"), icd("J02.9", "Acute pharyngitis, unspecified")),
        3, 99, 10, "rooms", 8, "a sore throat and a hoarse voice", ("acetaminophen",), fever=True,
    ),
    Ailment(
        (sct("444814009", "Viral sinusitis"), icd("J01.90", "Acute sinusitis, unspecified")),
        6, 99, 8, "virtual", 12, "a blocked nose and pressure over the cheeks", ("ibuprofen",),
    ),
    Ailment(
        (sct("10509002", "Acute bronchitis"), icd("J20.9", "Acute bronchitis, unspecified")),
        2, 99, 8, "rooms", 14, "a productive cough", ("albuterol",), procedure=sct("399208008", "Plain chest X-ray"),
    ),
    Ailment(
        (sct("65363002", "Otitis media"), icd("H66.90", "Otitis media, unspecified")),
        0, 9, 16, "rooms", 10, "earache at night", ("amoxicillin",), fever=True,
    ),
    Ailment(
        (sct("24079001", "Atopic dermatitis"), icd("L20.9", "Atopic dermatitis, unspecified")),
        0, 40, 4, "rooms", 40, "an itching rash in the folds of the elbows",
    ),
    Ailment(
        (sct("6142004", "Influenza"), icd("J11.1", "Influenza with respiratory manifestations")),
        1, 99, 5, "virtual", 9, "fever, aching limbs and a dry cough", ("acetaminophen",), fever=True,
    ),
    Ailment(
        (sct("840539006", "COVID-19"), icd("U07.1", "COVID-19")),
        1, 99, 5, "virtual", 12, "fever, cough and loss of smell", ("acetaminophen",), fever=True, since=2021,
    ),
    Ailment(
        (sct("68566005", "Urinary tract infection"), icd("N39.0", "Urinary tract infection")),
        14, 99, 9, "rooms", 7, "burning when passing water", ("trimethoprim",), ("inflammation",), sex="female",
    ),
    Ailment(
        (sct("44465007", "Sprain of ankle"), icd("S93.409A", "Sprain of ankle, initial encounter")),
        7, 70, 6, "emergency", 21, "a twisted ankle after a fall", ("ibuprofen",),
        procedure=sct("19490002", "Ankle X-ray"),
    ),
    Ailment(
        (sct("65966004", "Fracture of forearm"), icd("S52.90XA", "Fracture of forearm, initial encounter")),
        4, 90, 3, "emergency", 60, "a painful, bent wrist after a fall", ("acetaminophen",),
        procedure=sct("274474001", "Bone immobilization"),
    ),
    Ailment(
        (sct("284549007", "Laceration of hand"), icd("S61.409A", "Open wound of hand, initial encounter")),
        5, 90, 4, "emergency", 14, "a deep cut across the palm", procedure=sct("288086009", "Suture open wound"),
    ),
    Ailment(
        (sct("62106007", "Concussion with no loss of consciousness"), icd("S06.0X0A", "Concussion, initial encounter")),
        5, 80, 2, "emergency", 20, "a knock on the head and dizziness",
    ),
    Ailment(
        (sct("279039007", "Low back pain"), icd("M54.50", "Low back pain, unspecified")),
        20, 99, 9, "rooms", 35, "pain low in the back after lifting", ("naproxen",),
        procedure=sct("91251008", "Physical therapy procedure"),
    ),
    Ailment(
        (sct("74400008", "Appendicitis"), icd("K37", "Unspecified appendicitis")),
        8, 60, 1, "ward", 20, "pain that moved to the lower right of the belly", ("acetaminophen",),
        ("count", "inflammation"), sct("80146002", "Appendectomy"), fever=True,
    ),
    Ailment(
        (sct("233604007", "Pneumonia"), icd("J18.9", "Pneumonia, unspecified organism")),
        1, 99, 1.4, "ward", 25, "fever, chills and breathlessness", ("azithromycin",), ("count", "inflammation"),
        sct("399208008", "Plain chest X-ray"), fever=True,
    ),
    Ailment(
        (sct("22298006", "Myocardial infarction"), icd("I21.9", "Acute myocardial infarction, unspecified")),
        52, 99, 1, "ward", 60, "crushing pain behind the breastbone", ("clopidogrel", "aspirin"),
        ("metabolic", "lipids"), sct("415070008", "Percutaneous coronary intervention"),
    ),
    Ailment(
        (sct("230690007", "Cerebrovascular accident"), icd("I63.9", "Cerebral infarction, unspecified")),
        60, 99, 0.8, "ward", 90, "sudden weakness of the right arm and slurred speech", ("aspirin",), ("metabolic",),
    ),
)  # fmt: skip
