"""Every scenario through a running server over HTTPS: read, vread, search, total, $everything and $export.

All cases of a site policy lie in one server, each with patients, actors and everything else of its own. Times are moved
so that what is a minute or more before or after the request is so today. Left out is what no HTTP request can be: a
resource that no labeller has seen, several purposes in one token, an instant that is over within minutes.
"""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from consent import form
from consent.cases import CASES
from medlock.access.consent.policy import Policy
from medlock.fhir.dates import interval
from records.test_consents import BLANK, OTHERS, SCENARIOS, named_in, resource_of
from web.running import Server
from web.tokens import Bearer, tokens_for

FHIR = {"content-type": "application/fhir+json"}
SITE = {"MEDLOCK_CONSENT_R4": "on", "MEDLOCK_CONSENT_PURPOSES": f"{form.PROJECTS}|FooBar=HRESCH"}
CLOSE = 600_000
REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-]+)")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
TODAY = datetime.now(UTC)
ALL = [*SCENARIOS, *CASES]


def told_apart(case):
    """Whether all that a case hangs on can be brought by HTTP."""
    request, moment = case["request"], form.ms(case["request"].get("time", form.NOW))
    if case["resource"]["type"] not in BLANK:
        return False
    breaks = request.get("mayBTG") and case["expect"] == "PERMIT"
    if breaks or len(request.get("purpose", ())) > 1 or not case["resource"].get("labelled", True):
        return False
    bounds = [bound for period in periods(case) for bound in bounds_of(period)]
    return all(abs(bound - moment) > CLOSE for bound in bounds)


def periods(case):
    """Every period of validity in the consents of a case."""
    waiting = [each["provision"] for each in case["consents"]]
    while waiting:
        rule = waiting.pop()
        waiting += rule.get("provision", ())
        if "period" in rule:
            yield rule["period"]


def bounds_of(period):
    """Its bounds in ms, the end being the last moment inside."""
    if "start" in period:
        yield interval(period["start"])[0]
    if "end" in period:
        yield interval(period["end"])[1] - 1


def stamped(ms):
    """A moment as FHIR writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_today(case):
    """The case with its request made now: what was valid then is valid now, what was changed then was changed now."""
    case = json.loads(json.dumps(case))
    later = int(TODAY.timestamp() * 1000) - form.ms(case["request"].get("time", form.NOW))
    for period in periods(case):
        start, end = period.get("start"), period.get("end")
        period.update({"start": stamped(interval(start)[0] + later)} if start else {})
        period.update({"end": stamped(interval(end)[1] - 1 + later)} if end else {})
    updated = case["resource"].pop("updated", None)
    if not updated:
        return case
    days = TODAY.date() - date.fromisoformat(updated[:10])
    shown = DAY.sub(lambda day: (date.fromisoformat(day[0]) + days).isoformat(), json.dumps(data_of(case)))
    for target, moved in zip(data_of(case), json.loads(shown), strict=True):
        target.update(moved)
    return case


def data_of(case):
    """The parts of a case that say when data came to be."""
    waiting, found = [each["provision"] for each in case["consents"]], [case["resource"]]
    while waiting:
        rule = waiting.pop()
        waiting += rule.get("provision", ())
        found += [rule["dataPeriod"]] if "dataPeriod" in rule else []
    return found


class Laid:
    """One case under names of its own: `own` adds the number of the case to every id."""

    def __init__(self, number, case):
        self.number, self.case, self.id = number, of_today(case), case["id"]
        self.permit = case["expect"] == "PERMIT"
        self.disclosed = case["request"].get("action", "access") == "disclose"
        self.kind, self.name = case["resource"]["type"], f"{case['resource'].get('id', 'o1')}-{number}"
        self.patient = f"p-{number}"

    def own(self, value):
        """The same with its own ids."""
        if isinstance(value, dict):
            found = {key: self.own(each) for key, each in value.items()}
            return found | ({"id": f"{value['id']}-{self.number}"} if "resourceType" in value else {})
        if isinstance(value, list | tuple):
            return [self.own(each) for each in value]
        if isinstance(value, str) and REFERENCE.fullmatch(value):
            return f"{value}-{self.number}"
        return value

    def resources(self):
        """All but the consents."""
        for reference in named_in(self.case):
            type_, _, id_ = reference.partition("/")
            more = dict(OTHERS.get(type_, {}))
            if type_ == "Group":
                actors = self.case["request"]["actor"]
                more["member"] = [{"entity": {"reference": each}} for each in actors if each.startswith("Practitioner")]
            yield self.own({"resourceType": type_, "id": id_, **more})
        yield self.own(resource_of(self.case))
        member = [{"entity": {"reference": "Patient/p"}}]
        yield self.own({"resourceType": "Group", "id": "of", "type": "person", "actual": True, "member": member})

    def consents(self):
        """They."""
        return [self.own(form.consent(short, number)) for number, short in enumerate(self.case["consents"])]

    def bearer(self):
        """Who asks."""
        request, actors = self.case["request"], self.own(self.case["request"].get("actor", ()))
        purpose = (*request.get("purpose", ()), "")[0]
        purpose = f"{form.PROJECTS}|FooBar" if purpose == "FooBar" else purpose
        patients = [each.partition("/")[2] for each in actors if each.startswith("Patient/")]
        if patients:
            return Bearer("patient", "patient/*.rs", patient=patients[0], purpose=purpose, account=f"a{self.number}")
        clinical = request.get("clinical") or self.case["default"] != "basic-normal"
        found = Bearer(
            "clinician" if clinical else "backend",
            "user/*.cruds" if clinical else "system/*.cruds",
            next((each for each in actors if each.startswith("Practitioner/")), ""),
            purpose=purpose,
            organisations=tuple(each for each in actors if each.startswith("Organization/")),
        )
        return replace(found, account=f"a{self.number}")

    def exports(self):
        """Whether what may be seen may leave as well."""
        return self.disclosed or (
            not any("action" in json.dumps(each) for each in self.case["consents"]) and self.bearer().role != "patient"
        )


def bring(http, groups):
    """Everything in transactions, each thing once, and what belongs together in one."""
    bundle = []
    for resources in groups:
        once = {f"{each['resourceType']}/{each['id']}": each for each in resources}
        bundle += [{"resource": each, "request": {"method": "PUT", "url": url}} for url, each in once.items()]
        if len(bundle) > 150:
            bundle = sent(http, bundle)
    sent(http, bundle)


def sent(http, entries):
    """One transaction; nothing is left to send."""
    if entries:
        body = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        done = http.post("", json=body, headers=FHIR | {"prefer": "return=minimal"})
        assert done.status_code == 200, done.text
    return []


def exported(http, laid):
    """What an export of the patient's Group brings of the resource's type: ids."""
    begun = http.get(f"Group/of-{laid.number}/$export?_type={laid.kind}", headers={"prefer": "respond-async"})
    assert begun.status_code == 202, begun.text
    where = begun.headers["content-location"]
    answer = http.get(where)
    while answer.status_code == 202:
        time.sleep(0.01)
        answer = http.get(where)
    files = [http.get(each["url"]) for each in answer.json()["output"]]
    assert http.delete(where).status_code == 202
    return {json.loads(line)["id"] for file in files for line in file.text.splitlines()}


def shown(http, target):
    """The ids in a Bundle, and its total."""
    answer = http.get(target)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    return {each["resource"]["id"] for each in bundle.get("entry", ())}, bundle["total"]


def check(http, laid):
    """One case on every path."""
    want = laid.permit
    if laid.exports():
        assert (laid.name in exported(http, laid)) is want
    if laid.disclosed:
        return
    where = f"{laid.kind}/{laid.name}"
    for target in (where, f"{where}/_history/1"):
        assert http.get(target).status_code == (200 if want else 404), target
    names, total = shown(http, f"{laid.kind}?subject=Patient/{laid.patient}&_id={laid.name}")
    assert (laid.name in names, total) == (want, int(want))
    assert shown(http, f"{laid.kind}?_id={laid.name}&_summary=count")[1] == int(want)
    if http.get(f"Patient/{laid.patient}").status_code == 200:
        assert (laid.name in shown(http, f"Patient/{laid.patient}/$everything?_count=1000")[0]) is want
    else:
        assert http.get(f"Patient/{laid.patient}/$everything").status_code == 404


@pytest.mark.parametrize("policy", list(Policy))
def test_scenarios_over_https(policy, tmp_path):
    """Every path says what the case says, for each case of this policy."""
    cases = [Laid(number, case) for number, case in enumerate(ALL) if case["default"] == policy and told_apart(case)]
    assert cases
    directory = tmp_path / "data"
    writer, *secrets = tokens_for(directory, [Bearer("backend", "system/*.cruds"), *(each.bearer() for each in cases)])
    server = Server(directory, more=SITE | {"MEDLOCK_CONSENT_POLICY": policy})
    try:
        with server.client(writer) as http:
            bring(http, [each.resources() for each in cases])
            bring(http, [each.consents() for each in cases])
        wrong = []
        for secret, laid in zip(secrets, cases, strict=True):
            with server.client(secret) as http:
                try:
                    check(http, laid)
                except AssertionError as fault:
                    wrong.append(f"{laid.id}: {fault}")
        assert not wrong, "\n".join(wrong)
    finally:
        server.stop()
