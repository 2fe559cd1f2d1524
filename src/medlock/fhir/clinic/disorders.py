"""Long illnesses of this town: who gets them, what moves in the body, what is watched and what is given.

`odds` are (from this age, share of people who have it by then). Shifts say what the laboratory sees; `halves` in a
shift is how treatment takes hold. Sensitive disorders are not here; they have modules of their own.
"""

from __future__ import annotations

from typing import NamedTuple

from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.terms import Term, icd, sct


class Disorder(NamedTuple):
    """One chronic disorder. `drugs` are steps: the first at diagnosis, the later ones at later reviews."""

    codes: tuple[Term, Term]
    odds: tuple[tuple[int, float], ...]
    months: int
    panels: tuple[str, ...]
    drugs: tuple[str, ...]
    shifts: tuple[Shift, ...]
    sex: str = ""
    plan: str = ""


DISORDERS: dict[str, Disorder] = {
    "hypertension": Disorder(
        (sct("59621000", "Essential hypertension"), icd("I10", "Essential (primary) hypertension")),
        ((35, 0.08), (45, 0.2), (55, 0.36), (65, 0.52), (75, 0.62)),
        6,
        ("metabolic",),
        ("lisinopril", "amlodipine", "hydrochlorothiazide"),
        (Shift("sbp", 32, halves=0.7), Shift("dbp", 16, halves=0.7)),
        plan="hypertension",
    ),
    "diabetes": Disorder(
        (sct("44054006", "Type 2 diabetes mellitus"), icd("E11.9", "Type 2 diabetes mellitus")),
        ((35, 0.03), (45, 0.08), (55, 0.15), (65, 0.22)),
        4,
        ("diabetes", "kidney"),
        ("metformin", "atorvastatin", "insulin"),
        (
            Shift("a1c", 2.6, 0.06, halves=1.6),
            Shift("glucose", 75, 1.5, halves=1.6),
            Shift("weight", 11),
            Shift("albuminuria", 14, 5),
        ),
        plan="diabetes",
    ),
    "prediabetes": Disorder(
        (sct("15777000", "Prediabetes"), icd("R73.03", "Prediabetes")),
        ((30, 0.05), (45, 0.12), (60, 0.16)),
        12,
        ("diabetes",),
        (),
        (Shift("a1c", 0.6, 0.03), Shift("glucose", 16, 0.6), Shift("weight", 6)),
    ),
    "hyperlipidemia": Disorder(
        (sct("55822004", "Hyperlipidemia"), icd("E78.5", "Hyperlipidemia, unspecified")),
        ((30, 0.06), (45, 0.22), (60, 0.36)),
        12,
        ("lipids", "liver"),
        ("simvastatin", "atorvastatin-80"),
        (Shift("cholesterol", 62, halves=1.0), Shift("triglycerides", 70, halves=2.0)),
    ),
    "obesity": Disorder(
        (sct("414916001", "Obesity"), icd("E66.9", "Obesity, unspecified")),
        ((18, 0.16), (35, 0.24)),
        12,
        ("lipids",),
        (),
        (Shift("weight", 27, 0.7), Shift("sbp", 5), Shift("hdl", -5)),
    ),
    "asthma": Disorder(
        (sct("195967001", "Asthma"), icd("J45.909", "Unspecified asthma, uncomplicated")),
        ((3, 0.07), (12, 0.1)),
        12,
        (),
        ("albuterol", "fluticasone"),
        (Shift("oxygen", -1), Shift("breaths", 2)),
        plan="asthma",
    ),
    "allergic rhinitis": Disorder(
        (sct("61582004", "Allergic rhinitis"), icd("J30.9", "Allergic rhinitis, unspecified")),
        ((6, 0.08), (18, 0.12)),
        24,
        (),
        ("loratadine",),
        (),
    ),
    "kidney disease": Disorder(
        (sct("709044004", "Chronic kidney disease"), icd("N18.30", "Chronic kidney disease, stage 3 unspecified")),
        ((60, 0.08), (72, 0.2)),
        4,
        ("metabolic", "count"),
        ("losartan",),
        (
            Shift("creatinine", 0.45, 0.07),
            Shift("urea", 12, 1),
            Shift("potassium", 0.3),
            Shift("hemoglobin", -1.1, -0.1),
        ),
    ),
    "hypothyroidism": Disorder(
        (sct("40930008", "Hypothyroidism"), icd("E03.9", "Hypothyroidism, unspecified")),
        ((30, 0.04), (50, 0.09)),
        9,
        ("thyroid",),
        ("levothyroxine",),
        (Shift("tsh", 6.5, halves=0.4), Shift("weight", 4)),
    ),
    "heart disease": Disorder(
        (sct("53741008", "Coronary arteriosclerosis"), icd("I25.10", "Atherosclerotic heart disease")),
        ((58, 0.08), (70, 0.18)),
        6,
        ("lipids", "metabolic"),
        ("aspirin", "atorvastatin-80", "metoprolol"),
        (Shift("cholesterol", 40, halves=0.8), Shift("pulse", -8)),
    ),
    "atrial fibrillation": Disorder(
        (sct("49436004", "Atrial fibrillation"), icd("I48.91", "Unspecified atrial fibrillation")),
        ((65, 0.06), (78, 0.13)),
        3,
        ("clotting",),
        ("warfarin", "metoprolol"),
        (Shift("pulse", 12, halves=0.5), Shift("inr", 1.5)),
    ),
    "heart failure": Disorder(
        (sct("84114007", "Heart failure"), icd("I50.9", "Heart failure, unspecified")),
        ((72, 0.08),),
        3,
        ("metabolic",),
        ("furosemide", "lisinopril-20"),
        (Shift("oxygen", -2), Shift("breaths", 3), Shift("pulse", 9)),
    ),
    "lung disease": Disorder(
        (sct("13645005", "Chronic obstructive lung disease"), icd("J44.9", "COPD, unspecified")),
        ((55, 0.07), (68, 0.12)),
        6,
        (),
        ("albuterol", "fluticasone"),
        (Shift("oxygen", -3, -0.15), Shift("breaths", 3)),
    ),
    "reflux": Disorder(
        (sct("235595009", "Gastroesophageal reflux disease"), icd("K21.9", "Gastro-esophageal reflux disease")),
        ((25, 0.06), (45, 0.14)),
        18,
        (),
        ("omeprazole",),
        (),
    ),
    "osteoarthritis": Disorder(
        (sct("396275006", "Osteoarthritis"), icd("M19.90", "Unspecified osteoarthritis")),
        ((50, 0.12), (65, 0.3)),
        12,
        (),
        ("naproxen", "acetaminophen"),
        (Shift("pain", 2),),
    ),
    "osteoporosis": Disorder(
        (sct("64859006", "Osteoporosis"), icd("M81.0", "Age-related osteoporosis")),
        ((62, 0.16), (75, 0.28)),
        12,
        ("metabolic",),
        ("alendronate",),
        (Shift("height", -2),),
        sex="female",
    ),
    "prostate": Disorder(
        (sct("266569009", "Benign prostatic hyperplasia"), icd("N40.0", "Benign prostatic hyperplasia")),
        ((55, 0.16), (68, 0.34)),
        12,
        ("prostate",),
        (),
        (Shift("psa", 2.2, 0.15),),
        sex="male",
    ),
    "gout": Disorder(
        (sct("90560007", "Gout"), icd("M10.9", "Gout, unspecified")),
        ((42, 0.06), (60, 0.09)),
        6,
        ("gout",),
        ("allopurinol",),
        (Shift("urate", 3.0, halves=0.6),),
        sex="male",
    ),
    "iron deficiency": Disorder(
        (sct("87522002", "Iron deficiency anemia"), icd("D50.9", "Iron deficiency anemia, unspecified")),
        ((16, 0.09),),
        6,
        ("count", "iron"),
        ("iron",),
        (
            Shift("hemoglobin", -3.4, halves=0.5),
            Shift("erythrocytes", -0.45, halves=0.5),
            Shift("ferritin", -55, halves=0.8),
        ),
        sex="female",
    ),
    "migraine": Disorder(
        (sct("37796009", "Migraine"), icd("G43.909", "Migraine, unspecified")),
        ((16, 0.09),),
        12,
        (),
        ("ibuprofen",),
        (Shift("pain", 2),),
    ),
    "attention deficit": Disorder(
        (sct("406506008", "Attention deficit hyperactivity disorder"), icd("F90.9", "ADHD, unspecified type")),
        ((7, 0.07),),
        6,
        (),
        ("methylphenidate",),
        (Shift("pulse", 5),),
    ),
    "epilepsy": Disorder(
        (sct("84757009", "Epilepsy"), icd("G40.909", "Epilepsy, unspecified")),
        ((4, 0.012),),
        6,
        ("count", "liver"),
        ("gabapentin",),
        (),
    ),
}
