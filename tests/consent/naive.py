"""The same decision a second time, as slowly and plainly as docs/consent.md says it: recursive, one element at a time.

It shares no code with the engine: trees are written out here, Consents are read as JSON. Values are True, False, and
None for unknown.
"""

from datetime import UTC, datetime, timedelta

PARENTS = {
    "COC": "TREAT", "ETREAT": "TREAT", "BTG": "ETREAT", "CLINTRL": "TREAT", "CLINTRCH": "HRESCH", "FAMRQT": "PATRQT",
    "CLMATTCH": "HPAYMT", "HDM": "HOPERAT", "PATADMIN": "HOPERAT", "https://clinic.example/projects|FooBar": "HRESCH",
}  # fmt: skip
TOPS = {"TREAT", "HPAYMT", "HOPERAT", "HRESCH", "PUBHLTH", "PATRQT"}
COVERED = {
    "PSY": {"SPI"}, "MH": {"SPI"}, "SUD": {"SPI"}, "ETHUD": {"SUD", "ETH"}, "OPIOIDUD": {"SUD", "ETH"}, "HIV": set(),
    "SDV": set(), "ETH": set(), "STD": set(), "SPI": set(),
}  # fmt: skip
LEVELS = "ULMNRV"
DATA = ("class", "code", "dataPeriod", "data", "securityLabel")


def chain(purpose):
    """It and what stands above it."""
    return [purpose, *(chain(PARENTS[purpose]) if purpose in PARENTS else [])]


def covering(sensitivity):
    """It and all that cover it."""
    return {sensitivity}.union(*(covering(each) for each in COVERED[sensitivity]))


def moment(text, *, end):
    """A bound of a period in ms: the first or the last moment that it names."""
    if len(text) == 10:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return int((day + timedelta(days=1) * end).timestamp() * 1000) - end
    return int(datetime.fromisoformat(text).timestamp() * 1000) + 999 * end


def inside(period, low, high):
    """Whether [low, high], in ms, lies in a period."""
    after = "start" not in period or low >= moment(period["start"], end=False)
    return after and ("end" not in period or high <= moment(period["end"], end=True))


def apart(period, low, high):
    """Whether they do not touch."""
    before = "start" in period and high < moment(period["start"], end=False)
    return before or ("end" in period and low > moment(period["end"], end=True))


class Naive:
    """One request against one patient's consents."""

    def __init__(self, consents, ask, default, links=None):
        self.consents = consents
        self.ask = ask
        self.default = default
        self.links = links or {}

    def decide(self, facts, patient="p"):
        """PERMIT or DENY, and the layer."""
        if patient in self.ask.own:
            return "PERMIT", "self"
        told = facts.type == "Provenance" and any(each.startswith("Consent/") for each in facts.references)
        if (facts.type == "Consent" or told) and self.unspoken(patient):
            return "DENY", "explicit"
        found = {self.consent(each, facts) for each in self.consents if self.applies(each, patient)}
        for verdict, answer, layer in (
            ("DENY", "DENY", "explicit"),
            ("PERMIT", "PERMIT", "explicit"),
            ("OUTSIDE", "DENY", "outside"),
        ):
            if verdict in found:
                return answer, layer
        return ("PERMIT" if self.by_default(facts) else "DENY"), "default"

    def unspoken(self, patient):
        """Whether some rule that speaks of this request speaks of some data only: then consents are not shown."""
        if self.ask.records_consents or self.ask.action in {"collect", "correct"}:
            return False
        applying = [each for each in self.consents if self.applies(each, patient)]
        return any(self.selective(each["provision"], [], each["scope"]["coding"][0]["code"]) for each in applying)

    def selective(self, rule, above, scope):
        deny = rule["type"] == "deny"
        full = rule if deny else self.nearest(rule, above)
        asked = self.asked(full, deny, scope == "research")
        met = all(value if value is not None else deny for value in asked)
        if any(name in full for name in DATA) and (met or (not above and not deny and False not in asked)):
            return True
        inside = rule.get("provision", ()) if not above or False not in asked else ()
        return any(self.selective(each, [*above, rule], scope) for each in inside)

    def asked(self, full, deny, research):
        """What a rule asks of the request, met or not."""
        found = [self.request(name, full, deny) for name in ("period", "actor", "purpose", "action")]
        return [*found, self.research(deny)] if research else found

    def by_default(self, facts):
        ask = self.ask
        if self.default == "basic-normal":
            treats = any("TREAT" in self.opens(each) for each in ask.purposes)
            normal = facts.labels is not None and facts.labels.level <= LEVELS.index("N")
            return ask.clinical and treats and normal
        if self.default == "break-glass-only":
            return ask.may_break_glass and "BTG" in ask.purposes
        return self.default == "permit-all"

    def applies(self, consent, patient):
        scope = consent["scope"]["coding"][0]["code"]
        period = consent["provision"].get("period", {})
        return (
            consent["status"] == "active"
            and scope in {"patient-privacy", "research"}
            and consent["patient"]["reference"] == f"Patient/{patient}"
            and inside(period, self.ask.now, self.ask.now)
        )

    def consent(self, consent, facts):
        research = consent["scope"]["coding"][0]["code"] == "research"
        return self.node(consent["provision"], [], facts, research, root=True)

    def node(self, rule, above, facts, research, *, root=False):
        deny = rule["type"] == "deny"
        full = rule if deny else self.nearest(rule, above)
        asked = self.asked(full, deny, research)
        data = [self.data(name, full, facts, deny) for name in DATA]
        results = set()
        if root or False not in asked:
            results = {self.node(child, [*above, rule], facts, research) for child in rule.get("provision", ())}
        if "DENY" in results:
            return "DENY"
        if "PERMIT" in results:
            return "PERMIT"
        met = [value if value is not None else deny for value in (*asked, *data)]
        if all(met):
            return "DENY" if deny else "PERMIT"
        return "OUTSIDE" if root and not deny and False not in asked else None

    def nearest(self, rule, above):
        full = {}
        for each in [*above, rule]:
            full.update({name: value for name, value in each.items() if name not in {"type", "provision"}})
        return full

    def opens(self, purpose):
        """What a permit may name to open a purpose: upwards, but not out of an emergency or a trial."""
        found = []
        for each in chain(purpose):
            found.append(each)
            if each in {"BTG", "CLINTRL"}:
                break
        return found

    def purposes(self, deny):
        """What a rule may name to meet the request; None when that is unknown."""
        declared = self.ask.purposes
        if not declared or not all(chain(each)[-1] in TOPS for each in declared):
            return None
        if deny:
            return {up for each in declared for up in chain(each)}
        return {up for each in declared if each != "BTG" or self.ask.may_break_glass for up in self.opens(each)}

    def research(self, deny):
        found = self.purposes(deny)
        return None if found is None else "HRESCH" in found

    def request(self, name, rule, deny):
        if name not in rule:
            return True
        if name == "period":
            return inside(rule["period"], self.ask.now, self.ask.now)
        if name == "actor":
            return any(each["reference"]["reference"] in self.ask.actors for each in rule["actor"])
        if name == "action":
            return any(each["coding"][0]["code"] == self.ask.action for each in rule["action"])
        found = self.purposes(deny)
        names = {
            each["code"] if "v3-" in each["system"] else f"{each['system']}|{each['code']}" for each in rule["purpose"]
        }
        return None if found is None else not names.isdisjoint(found)

    def data(self, name, rule, facts, deny):
        if name not in rule:
            return True
        if name == "class":
            return any(each["code"] == facts.type for each in rule["class"])
        if name == "code":
            listed = {f"{each['coding'][0]['system']}|{each['coding'][0]['code']}" for each in rule["code"]}
            return not listed.isdisjoint(facts.codes | facts.any_codes if deny else facts.codes)
        if name == "dataPeriod":
            return self.dated(rule["dataPeriod"], facts, deny)
        if name == "data":
            found = [self.datum(each, facts, deny) for each in rule["data"]]
            return True if True in found else None if None in found else False
        return self.labelled([(each["system"][-3:], each["code"]) for each in rule["securityLabel"]], facts, deny)

    def dated(self, period, facts, deny):
        written = None if facts.updated is None else (facts.updated, facts.updated)
        authored = None if facts.authored is None else (facts.authored[0], facts.authored[1] - 1)
        if not deny:
            when = authored or written
            return None if when is None else inside(period, *when)
        if authored is None:
            return None
        return any(each is not None and not apart(period, *each) for each in (authored, written))

    def datum(self, datum, facts, deny):
        target, meaning = datum["reference"]["reference"], datum["meaning"]
        if meaning == "authoredby":
            return None if facts.authors is None else target in facts.authors
        if target == facts.reference:
            return True
        refers, referred = target in facts.references, facts.reference in self.links.get(target, ())
        if meaning == "instance":
            return False
        if deny:
            return refers or referred
        if meaning == "dependents":
            return refers
        return referred or (refers and target.split("/")[0] in {"Encounter", "CarePlan", "EpisodeOfCare"})

    def labelled(self, listed, facts, deny):
        if facts.labels is None:
            return None
        levels = [LEVELS.index(code) for _, code in listed if code in LEVELS]
        names = {code for _, code in listed if code not in LEVELS}
        level, found = facts.labels.level, facts.labels.sensitivities
        covered = [not names.isdisjoint(covering(each)) for each in found]
        if deny:
            return any(covered) or any(level >= each for each in levels)
        return any(level <= each for each in levels) or (level == LEVELS.index("R") and bool(covered) and all(covered))
