"""The formulary: what the clinic prescribes, how it is taken, and the shared Medication resources.

RxNorm codes name a drug in its strength where a strength is known, else the ingredient. The few drugs that the
clinic keeps in stock itself (`stocked`) are prescribed by reference to a Medication, so that
`_include=MedicationRequest:medication` has something to include; all others by code.
"""

from __future__ import annotations

from typing import NamedTuple

from medlock.fhir.clinic.terms import UCUM, Json, Term, reference, rx, sct

ORAL = sct("26643006", "Oral route")
INHALED = sct("447694001", "Respiratory tract route")
UNDER_TONGUE = sct("37839007", "Sublingual route")
INTO_MUSCLE = sct("78421000", "Intramuscular route")
UNDER_SKIN = sct("34206005", "Subcutaneous route")


class Drug(NamedTuple):
    """A drug and its usual dose: `units` of `unit`, `times` every `every` d | wk | mo."""

    term: Term
    units: float = 1
    unit: str = "tablet"
    times: int = 1
    period: int = 1
    every: str = "d"
    route: Term = ORAL
    as_needed: bool = False
    stocked: str = ""

    @property
    def directions(self) -> str:
        """The dose in words."""
        spans = {"d": "day", "wk": "week", "mo": "month"}
        span = spans[self.every] if self.period == 1 else f"{self.period} {spans[self.every]}s"
        count = {1: "once", 2: "twice"}.get(self.times, f"{self.times} times")
        each = "every " if self.period > 1 else "a "
        return f"{self.units:g} {self.unit} {count} {each}{span}{', as needed' if self.as_needed else ''}"

    def dosage(self) -> Json:
        """The Dosage of a MedicationRequest."""
        repeat = {"frequency": self.times, "period": self.period, "periodUnit": self.every}
        needed = {"asNeededBoolean": True} if self.as_needed else {}
        dose = {"value": self.units, "unit": self.unit, "system": UCUM, "code": "{" + self.unit + "}"}
        return {
            "sequence": 1,
            "text": self.directions,
            "timing": {"repeat": repeat},
            **needed,
            "route": self.route.concept(),
            "doseAndRate": [{"doseQuantity": dose}],
        }

    def medication(self) -> Json:
        """The medication[x] field of a MedicationRequest."""
        if self.stocked:
            return {"medicationReference": reference(f"Medication/{self.stocked}", self.term.display)}
        return {"medicationCodeableConcept": self.term.concept()}


FORMULARY: dict[str, Drug] = {
    # blood pressure and heart
    "lisinopril": Drug(rx("314076", "lisinopril 10 MG Oral Tablet")),
    "lisinopril-20": Drug(rx("314077", "lisinopril 20 MG Oral Tablet")),
    "amlodipine": Drug(rx("197361", "amlodipine 5 MG Oral Tablet")),
    "hydrochlorothiazide": Drug(rx("310798", "hydrochlorothiazide 25 MG Oral Tablet")),
    "losartan": Drug(rx("979492", "losartan potassium 50 MG Oral Tablet")),
    "metoprolol": Drug(rx("866436", "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet")),
    "furosemide": Drug(rx("313988", "furosemide 40 MG Oral Tablet")),
    "aspirin": Drug(rx("243670", "aspirin 81 MG Oral Tablet")),
    "clopidogrel": Drug(rx("309362", "clopidogrel 75 MG Oral Tablet")),
    "warfarin": Drug(rx("855332", "warfarin sodium 5 MG Oral Tablet")),
    "atorvastatin": Drug(rx("617310", "atorvastatin 20 MG Oral Tablet")),
    "atorvastatin-80": Drug(rx("259255", "atorvastatin 80 MG Oral Tablet")),
    "simvastatin": Drug(rx("312961", "simvastatin 20 MG Oral Tablet")),
    # hormones and metabolism
    "metformin": Drug(rx("861007", "metformin hydrochloride 500 MG Oral Tablet"), times=2),
    "insulin": Drug(rx("5856", "insulin"), 14, "unit", 2, route=UNDER_SKIN, stocked="med-insulin"),
    "levothyroxine": Drug(rx("966222", "levothyroxine sodium 0.075 MG Oral Tablet")),
    "alendronate": Drug(rx("904419", "alendronic acid 10 MG Oral Tablet")),
    "iron": Drug(rx("310325", "ferrous sulfate 325 MG Oral Tablet")),
    "allopurinol": Drug(rx("197319", "allopurinol 100 MG Oral Tablet")),
    # breathing and allergy
    "albuterol": Drug(
        rx("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"),
        2,
        "puff",
        4,
        route=INHALED,
        as_needed=True,
    ),
    "fluticasone": Drug(
        rx("895994", "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler"),
        2,
        "puff",
        2,
        route=INHALED,
    ),
    "loratadine": Drug(rx("311372", "loratadine 10 MG Oral Tablet"), as_needed=True),
    "prednisone": Drug(rx("312617", "prednisone 5 MG Oral Tablet"), 4),
    # pain, stomach, infection
    "acetaminophen": Drug(rx("313782", "acetaminophen 325 MG Oral Tablet"), 2, times=4, as_needed=True),
    "ibuprofen": Drug(rx("310965", "ibuprofen 200 MG Oral Tablet"), 2, times=3, as_needed=True),
    "naproxen": Drug(rx("849574", "naproxen sodium 220 MG Oral Tablet"), times=2, as_needed=True),
    "gabapentin": Drug(rx("310431", "gabapentin 300 MG Oral Capsule"), 1, "capsule", 3),
    "omeprazole": Drug(rx("198051", "omeprazole 20 MG Delayed Release Oral Capsule"), 1, "capsule"),
    "amoxicillin": Drug(rx("308182", "amoxicillin 250 MG Oral Capsule"), 1, "capsule", 3),
    "azithromycin": Drug(rx("308460", "azithromycin 250 MG Oral Tablet")),
    "trimethoprim": Drug(rx("198335", "sulfamethoxazole 800 MG / trimethoprim 160 MG Oral Tablet"), times=2),
    # mind
    "sertraline": Drug(rx("312941", "sertraline 50 MG Oral Tablet")),
    "fluoxetine": Drug(rx("310385", "fluoxetine 20 MG Oral Capsule"), 1, "capsule"),
    "quetiapine": Drug(rx("51272", "quetiapine"), 2),
    "lithium": Drug(rx("6448", "lithium"), 1, "capsule", 2),
    "methylphenidate": Drug(rx("1091392", "methylphenidate hydrochloride 20 MG Oral Tablet")),
    # dependence
    "buprenorphine": Drug(
        rx("351267", "buprenorphine 8 MG / naloxone 2 MG Sublingual Tablet"), route=UNDER_TONGUE, stocked="med-bup"
    ),
    "naltrexone": Drug(rx("7243", "naltrexone"), stocked="med-naltrexone"),
    # HIV
    "dolutegravir": Drug(rx("1433873", "dolutegravir 50 MG Oral Tablet")),
    "emtricitabine": Drug(rx("476556", "emtricitabine 200 MG / tenofovir disoproxil fumarate 300 MG Oral Tablet")),
    # reproductive health
    "depot": Drug(
        rx("1000126", "1 ML medroxyprogesterone acetate 150 MG/ML Injection"),
        1,
        "injection",
        period=3,
        every="mo",
        route=INTO_MUSCLE,
        stocked="med-depot",
    ),
    "pill": Drug(rx("748856", "Yaz 28 Day Pack")),
}


def medications() -> list[Json]:
    """The shared Medication resources: what the clinic keeps in stock."""
    return [
        {"resourceType": "Medication", "id": drug.stocked, "code": drug.term.concept(), "status": "active"}
        for drug in FORMULARY.values()
        if drug.stocked
    ]
