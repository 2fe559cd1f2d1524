"""What the clinic measures: each analyte's LOINC code, UCUM unit, reference range and how it varies.

`typical` is a healthy adult's value, `among` the standard deviation between people, `within` that from one
measurement of a person to the next. Ranges are the common adult ones of hospital laboratories. Height, weight and
head circumference follow `growth`; their `typical` only says how noise shrinks in small bodies.
"""

from __future__ import annotations

from typing import NamedTuple

from medlock.fhir.clinic.terms import Term, loinc


class Analyte(NamedTuple):
    """One measurable thing. `digits` is how many decimals are reported; ranges are None where none is printed."""

    term: Term
    unit: str
    ucum: str
    digits: int
    typical: float
    among: float
    within: float
    low: float | None = None
    high: float | None = None
    women: float = 0.0  # added to typical and range for female bodies


ANALYTES: dict[str, Analyte] = {
    # vital signs; growth of children comes from `growth`
    "sbp": Analyte(loinc("8480-6", "Systolic blood pressure"), "mmHg", "mm[Hg]", 0, 120, 9, 6),
    "dbp": Analyte(loinc("8462-4", "Diastolic blood pressure"), "mmHg", "mm[Hg]", 0, 76, 6, 4),
    "pulse": Analyte(loinc("8867-4", "Heart rate"), "/min", "/min", 0, 72, 7, 6),
    "breaths": Analyte(loinc("9279-1", "Respiratory rate"), "/min", "/min", 0, 15, 1, 1.5),
    "temperature": Analyte(loinc("8310-5", "Body temperature"), "Cel", "Cel", 1, 36.7, 0.1, 0.2),
    "oxygen": Analyte(loinc("59408-5", "Oxygen saturation by pulse oximetry"), "%", "%", 0, 98, 0.7, 0.7),
    "height": Analyte(loinc("8302-2", "Body height"), "cm", "cm", 1, 170, 0, 0.2),
    "weight": Analyte(loinc("29463-7", "Body weight"), "kg", "kg", 1, 80, 0, 0.8),
    "bmi": Analyte(loinc("39156-5", "Body mass index (BMI)"), "kg/m2", "kg/m2", 1, 24.8, 2.9, 0),
    "head": Analyte(loinc("9843-4", "Head circumference"), "cm", "cm", 1, 45, 0, 0.2),
    "pain": Analyte(loinc("72514-3", "Pain severity 0-10"), "{score}", "{score}", 0, 3, 1, 1.5),
    # metabolic panel
    "glucose": Analyte(loinc("2345-7", "Glucose"), "mg/dL", "mg/dL", 0, 90, 6, 6, 70, 99),
    "urea": Analyte(loinc("3094-0", "Urea nitrogen"), "mg/dL", "mg/dL", 0, 13, 2.5, 1.5, 7, 20),
    "creatinine": Analyte(loinc("2160-0", "Creatinine"), "mg/dL", "mg/dL", 2, 0.95, 0.1, 0.04, 0.7, 1.3, -0.18),
    "egfr": Analyte(
        loinc("98979-8", "Glomerular filtration rate (CKD-EPI 2021)"),
        "mL/min/1.73m2",
        "mL/min/{1.73_m2}",
        0,
        95,
        0,
        0,
        60,
    ),
    "sodium": Analyte(loinc("2951-2", "Sodium"), "mmol/L", "mmol/L", 0, 140, 1.3, 1.2, 136, 145),
    "potassium": Analyte(loinc("2823-3", "Potassium"), "mmol/L", "mmol/L", 1, 4.2, 0.2, 0.2, 3.5, 5.1),
    "chloride": Analyte(loinc("2075-0", "Chloride"), "mmol/L", "mmol/L", 0, 103, 1.5, 1.2, 98, 107),
    "bicarbonate": Analyte(loinc("2028-9", "Carbon dioxide, total"), "mmol/L", "mmol/L", 0, 26, 1.2, 1, 22, 29),
    "calcium": Analyte(loinc("17861-6", "Calcium"), "mg/dL", "mg/dL", 1, 9.4, 0.2, 0.15, 8.6, 10.3),
    "alt": Analyte(loinc("1742-6", "Alanine aminotransferase"), "U/L", "U/L", 0, 22, 6, 3, 7, 55),
    "ast": Analyte(loinc("1920-8", "Aspartate aminotransferase"), "U/L", "U/L", 0, 21, 5, 3, 8, 48),
    # lipids and sugar
    "cholesterol": Analyte(loinc("2093-3", "Cholesterol, total"), "mg/dL", "mg/dL", 0, 180, 22, 8, None, 200),
    "hdl": Analyte(loinc("2085-9", "HDL cholesterol"), "mg/dL", "mg/dL", 0, 48, 8, 3, 40, None, 8),
    "ldl": Analyte(loinc("13457-7", "LDL cholesterol, calculated"), "mg/dL", "mg/dL", 0, 108, 20, 7, None, 130),
    "triglycerides": Analyte(loinc("2571-8", "Triglycerides"), "mg/dL", "mg/dL", 0, 110, 30, 18, None, 150),
    "a1c": Analyte(loinc("4548-4", "Hemoglobin A1c"), "%", "%", 1, 5.3, 0.2, 0.1, 4.0, 5.6),
    "albuminuria": Analyte(loinc("9318-7", "Albumin/creatinine in urine"), "mg/g", "mg/g{creat}", 0, 9, 3, 3, None, 30),
    # blood count
    "leukocytes": Analyte(loinc("6690-2", "Leukocytes"), "10*3/uL", "10*3/uL", 1, 6.6, 1.2, 0.7, 4.5, 11.0),
    "erythrocytes": Analyte(loinc("789-8", "Erythrocytes"), "10*6/uL", "10*6/uL", 2, 5.0, 0.25, 0.1, 4.5, 5.9, -0.5),
    "hemoglobin": Analyte(loinc("718-7", "Hemoglobin"), "g/dL", "g/dL", 1, 15.0, 0.7, 0.3, 13.5, 17.5, -1.5),
    "hematocrit": Analyte(loinc("4544-3", "Hematocrit"), "%", "%", 1, 44.5, 2, 0.9, 41, 50, -4.5),
    "mcv": Analyte(loinc("787-2", "Mean corpuscular volume"), "fL", "fL", 0, 90, 3, 1, 80, 100),
    "platelets": Analyte(loinc("777-3", "Platelets"), "10*3/uL", "10*3/uL", 0, 250, 45, 18, 150, 400),
    # single tests
    "tsh": Analyte(loinc("3016-3", "Thyrotropin (TSH)"), "m[IU]/L", "m[IU]/L", 2, 1.9, 0.6, 0.3, 0.4, 4.5),
    "ferritin": Analyte(loinc("2276-4", "Ferritin"), "ng/mL", "ng/mL", 0, 120, 40, 12, 24, 336, -60),
    "inr": Analyte(loinc("6301-6", "INR"), "{INR}", "{INR}", 1, 1.0, 0.05, 0.15, 0.8, 1.2),
    "psa": Analyte(loinc("2857-1", "Prostate specific antigen"), "ng/mL", "ng/mL", 2, 1.4, 0.5, 0.2, 0, 4.0),
    "crp": Analyte(loinc("1988-5", "C reactive protein"), "mg/L", "mg/L", 1, 2.0, 0.8, 0.6, None, 10),
    "urate": Analyte(loinc("3084-1", "Urate"), "mg/dL", "mg/dL", 1, 5.6, 0.8, 0.3, 3.5, 7.2, -1.1),
    "cd4": Analyte(loinc("24467-3", "CD4 cells"), "/uL", "/uL", 0, 820, 120, 40, 500, 1500),
    "viral-load": Analyte(
        loinc("20447-9", "HIV 1 RNA in plasma by NAA"), "{copies}/mL", "{copies}/mL", 0, 20, 0, 4, None, 50
    ),
    # questionnaires and scores
    "phq9": Analyte(loinc("44261-6", "PHQ-9 total score"), "{score}", "{score}", 0, 3, 1, 1.2, None, 4),
    "gad7": Analyte(loinc("70274-6", "GAD-7 total score"), "{score}", "{score}", 0, 3, 1, 1.2, None, 4),
    "auditc": Analyte(loinc("75626-2", "AUDIT-C total score"), "{score}", "{score}", 0, 2, 1, 0.6, None, 3),
    "apgar1": Analyte(loinc("9272-6", "Apgar score, 1 minute"), "{score}", "{score}", 0, 8, 0.5, 0.5, 7),
    "apgar5": Analyte(loinc("9274-2", "Apgar score, 5 minutes"), "{score}", "{score}", 0, 9, 0.4, 0.3, 7),
}


class Panel(NamedTuple):
    """Tests that are ordered and reported together."""

    term: Term
    members: tuple[str, ...]
    section: str = "LAB"


PANELS: dict[str, Panel] = {
    "metabolic": Panel(
        loinc("51990-0", "Basic metabolic panel"),
        ("glucose", "urea", "creatinine", "egfr", "sodium", "potassium", "chloride", "bicarbonate", "calcium"),
        "CH",
    ),
    "kidney": Panel(loinc("24362-6", "Renal function panel"), ("urea", "creatinine", "egfr", "potassium"), "CH"),
    "liver": Panel(loinc("24325-3", "Hepatic function panel"), ("alt", "ast"), "CH"),
    "lipids": Panel(loinc("24331-1", "Lipid 1996 panel"), ("cholesterol", "triglycerides", "hdl", "ldl"), "CH"),
    "count": Panel(
        loinc("58410-2", "Complete blood count"),
        ("leukocytes", "erythrocytes", "hemoglobin", "hematocrit", "mcv", "platelets"),
        "HM",
    ),
    "diabetes": Panel(loinc("55399-0", "Diabetes tracking panel"), ("a1c", "glucose", "albuminuria"), "CH"),
    "thyroid": Panel(loinc("3016-3", "Thyrotropin (TSH)"), ("tsh",), "CH"),
    "iron": Panel(loinc("2276-4", "Ferritin"), ("ferritin", "hemoglobin"), "CH"),
    "clotting": Panel(loinc("6301-6", "INR"), ("inr",), "HM"),
    "prostate": Panel(loinc("2857-1", "Prostate specific antigen"), ("psa",), "CH"),
    "inflammation": Panel(loinc("1988-5", "C reactive protein"), ("crp", "leukocytes"), "CH"),
    "gout": Panel(loinc("3084-1", "Urate"), ("urate", "creatinine"), "CH"),
    "hiv": Panel(loinc("20447-9", "HIV 1 RNA in plasma by NAA"), ("viral-load", "cd4"), "LAB"),
}
