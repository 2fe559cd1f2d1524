"""Random consents, requests and resources, small enough that they often meet. Seeded: the same every time."""

from consent.form import PROJECTS, consent

ACTORS = [f"Practitioner/{n}" for n in "ab"] + ["Organization/o", "Group/g", "Patient/p", "Patient/q"]
PURPOSES = ["TREAT", "COC", "BTG", "CLINTRL", "HPAYMT", "HRESCH", "FooBar", "PUBHLTH"]
LABELS = ["N", "R", "V", "L", "PSY", "HIV", "ETHUD", "OPIOIDUD", "SUD", "ETH", "SPI"]
TYPES = ["Observation", "Condition", "Encounter"]
CODES = [f"s|{n}" for n in range(4)]
YEARS = [2020, 2021, 2022, 2023]
TARGETS = ["Encounter/e1", "Observation/o1", "DiagnosticReport/r1"]


def some(chance, items, most=2):
    """One to `most` of these."""
    return chance.sample(items, chance.randint(1, most))


def period(chance):
    """A period of years, sometimes open."""
    low, high = sorted(chance.choices(YEARS, k=2))
    found = {"start": f"{low}-01-01", "end": f"{high}-12-31"}
    if chance.random() < 0.3:
        del found[chance.choice(["start", "end"])]
    return found


def provision(chance, depth=0):
    """A rule with rules in it."""
    found = {"type": chance.choice(["permit", "deny"])}
    elements = {
        "actor": lambda: some(chance, ACTORS),
        "purpose": lambda: some(chance, PURPOSES, 3),
        "action": lambda: some(chance, ["access", "disclose"], 1),
        "class": lambda: some(chance, TYPES),
        "code": lambda: some(chance, CODES),
        "dataPeriod": lambda: period(chance),
        "securityLabel": lambda: some(chance, LABELS),
        "data": lambda: [datum(chance)],
    }
    for name, make in elements.items():
        if chance.random() < 0.2:
            found[name] = make()
    if chance.random() < 0.07:
        found["period"] = chance.choice([{"end": "2026-05-31"}, {"start": "2026-01-01"}, {"end": "2026-06-01"}])
    if depth < 2 and chance.random() < (0.6, 0.25)[depth]:
        found["provision"] = [provision(chance, depth + 1) for _ in range(chance.randint(1, 3))]
    return found


def datum(chance):
    """A reference in a rule."""
    meaning = chance.choice(["instance", "related", "dependents", "authoredby"])
    return {"meaning": meaning, "ref": chance.choice(ACTORS[:3] if meaning == "authoredby" else TARGETS)}


def consents(chance):
    """The consents of patient p, and some that are none of theirs."""
    found = []
    for number in range(chance.randint(0, 3)):
        short = {"provision": provision(chance)}
        if chance.random() < 0.1:
            short["status"] = "inactive"
        if chance.random() < 0.1:
            short["scope"] = chance.choice(["research", "adr"])
        if chance.random() < 0.05:
            short["patient"] = "q"
        found.append(consent(short, number))
    return found


def request(chance):
    """Who asks for what."""
    return {
        "actor": some(chance, ACTORS[:4] if chance.random() < 0.9 else ACTORS),
        "purpose": some(chance, PURPOSES) if chance.random() < 0.9 else [],
        "action": chance.choice(["access", "access", "disclose"]),
        "mayBTG": chance.random() < 0.5,
        "clinical": chance.random() < 0.7,
        "records": chance.random() < 0.1,
    }


def resource(chance):
    """What is asked for."""
    found = {"type": chance.choice([*TYPES, "Consent"]), "id": chance.choice(["o1", "e1", "x"])}
    found["labels"] = some(chance, LABELS, 3) if chance.random() < 0.7 else []
    found["labelled"] = chance.random() < 0.9
    found["codes"] = some(chance, CODES) if chance.random() < 0.7 else []
    found["anyCodes"] = some(chance, CODES) if chance.random() < 0.4 else []
    found["refs"] = some(chance, TARGETS) if chance.random() < 0.5 else []
    found["authors"] = some(chance, ACTORS[:3]) if chance.random() < 0.8 else None
    if chance.random() < 0.8:
        found["authored"] = f"{chance.choice(YEARS)}-0{chance.randint(1, 9)}-15"
    if chance.random() < 0.7:
        found["updated"] = f"{chance.choice(YEARS)}-06-15"
    return found


def links(chance):
    """What the resources that rules name refer to."""
    return {
        each: frozenset(some(chance, ["Observation/o1", "Condition/x", "Encounter/e1"]))
        for each in TARGETS
        if chance.random() < 0.4
    }


def policy(chance):
    """What holds where no consent speaks."""
    return chance.choice(["deny", "basic-normal", "permit-all", "break-glass-only"])


__all__ = ["PROJECTS", "consents", "links", "policy", "request", "resource"]
