"""Cases of our own, in the short form of `form`: each is the only one of its kind that one wrong engine fails."""

TPO = ["TREAT", "HPAYMT", "HOPERAT"]
SNOMED = "http://snomed.info/sct"
Y22 = {"start": "2022-01-01", "end": "2022-12-31"}


def permit(*inside, **more):
    """A permit."""
    return {"type": "permit", **more, **({"provision": list(inside)} if inside else {})}


def deny(*inside, **more):
    """A deny."""
    return permit(*inside, **more) | {"type": "deny"}


def case(name, expect, rules, default="deny", request=(), **resource):
    """One case: a clinician asks for treatment, for an observation, unless it says otherwise."""
    consents = [rule if "provision" in rule and "type" not in rule else {"provision": rule} for rule in rules]
    asked = {"actor": ["Practitioner/dr1"], "purpose": ["TREAT"], "clinical": True} | dict(request)
    what = {"type": "Observation", "id": "o1", "labels": []} | resource
    expected = expect.split()
    layer = expected[1] if len(expected) > 1 else "explicit"
    return {
        "id": name,
        "default": default,
        "consents": consents,
        "request": asked,
        "resource": what,
        "expect": expected[0],
        "layer": layer,
    }


def by(*actors, purpose=("TREAT",), **more):
    """Who asks."""
    return {"actor": list(actors), "purpose": list(purpose)} | more


BOB = by("Practitioner/bob")
CASES = [
    case("deny by default", "DENY default", []),
    case(
        "all permitted by default", "PERMIT default", [], "permit-all", by("Organization/x", purpose=[]), labels=["R"]
    ),
    case("basic-normal: a clinician", "PERMIT default", [], "basic-normal"),
    case("basic-normal: not a clinician", "DENY default", [], "basic-normal", {"clinical": False}),
    case("basic-normal: for payment", "DENY default", [], "basic-normal", {"purpose": ["HPAYMT"]}),
    case(
        "basic-normal: for an emergency alone", "DENY default", [], "basic-normal", {"purpose": ["BTG"], "mayBTG": True}
    ),
    case("basic-normal: restricted data", "DENY default", [], "basic-normal", labels=["HIV"]),
    case("basic-normal: not labelled", "DENY default", [], "basic-normal", labelled=False),
    case("break-glass-only: declared", "PERMIT default", [], "break-glass-only", {"purpose": ["BTG"], "mayBTG": True}),
    case("break-glass-only: without the right", "DENY default", [], "break-glass-only", {"purpose": ["BTG"]}),
    case("break-glass-only: not declared", "DENY default", [], "break-glass-only", {"mayBTG": True}),
    case("a permit for treatment", "PERMIT", [permit(purpose=TPO)]),
    case("a permit for what treatment is", "PERMIT", [permit(purpose=["TREAT"])], request={"purpose": ["COC"]}),
    case(
        "treatment does not open an emergency",
        "DENY default",
        [permit(purpose=["TREAT"])],
        request={"purpose": ["BTG"], "mayBTG": True},
    ),
    case(
        "treatment does not open a trial", "DENY default", [permit(purpose=["TREAT"])], request={"purpose": ["CLINTRL"]}
    ),
    case(
        "an emergency that is named", "PERMIT", [permit(purpose=["BTG"])], request={"purpose": ["BTG"], "mayBTG": True}
    ),
    case("an emergency without the right", "DENY default", [permit(purpose=["BTG"])], request={"purpose": ["BTG"]}),
    case(
        "a deny of treatment is one of emergencies",
        "DENY",
        [deny(purpose=["TREAT"])],
        "permit-all",
        {"purpose": ["BTG"], "mayBTG": True},
    ),
    case("a project is research", "PERMIT", [permit(purpose=["HRESCH"])], request={"purpose": ["FooBar"]}),
    case("research is not a project", "DENY default", [permit(purpose=["FooBar"])], request={"purpose": ["HRESCH"]}),
    case("no purpose declared, under a permit", "DENY outside", [permit(purpose=TPO)], request={"purpose": []}),
    case("no purpose declared, under a deny", "DENY", [deny(purpose=["HRESCH"])], "permit-all", {"purpose": []}),
    case(
        "no purpose hides no deny inside",
        "DENY",
        [permit(permit(deny() | {"class": ["Observation"]}, purpose=TPO))],
        "permit-all",
        {"purpose": []},
    ),
    case("over yesterday", "DENY default", [permit(period={"end": "2026-05-31"})]),
    case(
        "until today, late in the evening",
        "PERMIT",
        [permit(period={"end": "2026-06-01"})],
        request={"time": "2026-06-01T23:59:59Z"},
    ),
    case(
        "until today, elsewhere tomorrow",
        "DENY default",
        [permit(period={"end": "2026-06-01"})],
        request={"time": "2026-06-02T00:30:00Z"},
    ),
    case(
        "until an hour in another zone",
        "PERMIT",
        [permit(period={"end": "2026-06-01T12:00:00+02:00"})],
        request={"time": "2026-06-01T10:00:00Z"},
    ),
    case(
        "past an hour in another zone",
        "DENY default",
        [permit(period={"end": "2026-06-01T12:00:00+03:00"})],
        request={"time": "2026-06-01T10:00:00Z"},
    ),
    case(
        "an expired deny takes its exceptions along",
        "DENY default",
        [deny(permit(actor=["Practitioner/dr1"]), period={"end": "2026-05-31"})],
    ),
    case("inactive", "DENY default", [{"status": "inactive", "provision": permit()}]),
    case("of another patient", "DENY default", [{"patient": "q", "provision": permit()}]),
    case("an advance directive", "DENY default", [{"scope": "adr", "provision": permit()}]),
    case("research scope, treatment asked", "DENY default", [{"scope": "research", "provision": permit()}]),
    case(
        "research scope, research asked",
        "PERMIT",
        [{"scope": "research", "provision": permit()}],
        request={"purpose": ["HRESCH"]},
    ),
    case(
        "by an organisation",
        "PERMIT",
        [permit(actor=["Organization/o"])],
        request=by("Practitioner/dr1", "Organization/o"),
    ),
    case("everybody but one", "DENY", [permit(deny(actor=["Practitioner/bob"]))], request=BOB),
    case(
        "an exception is for every purpose",
        "DENY",
        [permit(deny(actor=["Practitioner/bob"]), purpose=TPO)],
        "permit-all",
        BOB | {"purpose": ["PUBHLTH"]},
    ),
    case(
        "an exception that permits takes what binds the root",
        "DENY default",
        [permit(permit(actor=["Practitioner/bob"]), purpose=["TREAT"])],
        request=BOB | {"purpose": ["PUBHLTH"]},
    ),
    case(
        "an exception that names its own purpose",
        "PERMIT",
        [permit(permit(purpose=["PUBHLTH"]), purpose=["TREAT"])],
        request={"purpose": ["PUBHLTH"]},
    ),
    case("nobody but one", "PERMIT", [deny(permit(actor=["Practitioner/bob"]))], request=BOB),
    case("deny in deny stays deny", "DENY", [deny(deny(actor=["Practitioner/bob"]))], "permit-all", BOB),
    case(
        "deny beats permit beside it",
        "DENY",
        [permit(permit(actor=["Practitioner/dr1"], securityLabel=["R"]), deny(securityLabel=["R"]))],
        labels=["R"],
    ),
    case("deny beats permit of another consent", "DENY", [permit(), deny(actor=["Practitioner/bob"])], request=BOB),
    case(
        "an exception of an exception",
        "PERMIT",
        [permit(deny(permit(purpose=["PATRQT"]), actor=["Practitioner/bob"]))],
        request=BOB | {"purpose": ["PATRQT"]},
    ),
    case(
        "it takes what binds the exception",
        "DENY default",
        [permit(deny(permit(purpose=["PATRQT"]), actor=["Practitioner/bob"]), purpose=["TREAT"])],
        request={"purpose": ["PATRQT"]},
    ),
    case(
        "it takes what binds the root too",
        "DENY",
        [permit(deny(permit(action=["access"]), actor=["Practitioner/bob"]), purpose=["TREAT"])],
        request=BOB | {"purpose": ["PUBHLTH"]},
    ),
    case("data of a year", "PERMIT", [permit(dataPeriod=Y22)], authored="2022-12-31T22:00:00Z"),
    case(
        "data of another year, in a site that permits",
        "DENY outside",
        [permit(dataPeriod=Y22)],
        "permit-all",
        authored="2021-12-31",
    ),
    case("undated data are as old as their last change", "PERMIT", [permit(dataPeriod=Y22)], updated="2022-05-05"),
    case(
        "a deny looks at the last change too",
        "DENY",
        [permit(deny(dataPeriod=Y22))],
        authored="2019-01-01",
        updated="2022-03-01",
    ),
    case(
        "data of another year under a deny",
        "PERMIT",
        [permit(deny(dataPeriod=Y22))],
        authored="2019-01-01",
        updated="2019-03-01",
    ),
    case("undated data under a deny", "DENY", [permit(deny(dataPeriod=Y22))], updated="2024-03-01"),
    case("one record", "DENY", [permit(deny(data=[{"meaning": "instance", "ref": "Observation/o1"}]))]),
    case(
        "another record",
        "PERMIT",
        [permit(deny(data=[{"meaning": "instance", "ref": "Observation/o2"}]))],
        refs=["Observation/o2"],
    ),
    case(
        "made within an encounter",
        "DENY",
        [permit(deny(data=[{"meaning": "related", "ref": "Encounter/e"}]))],
        refs=["Encounter/e"],
    ),
    case(
        "permitted: made within an encounter",
        "PERMIT",
        [permit(data=[{"meaning": "related", "ref": "Encounter/e"}])],
        refs=["Encounter/e"],
    ),
    case(
        "permitted: related to a report is not what refers to it",
        "DENY outside",
        [permit(data=[{"meaning": "related", "ref": "DiagnosticReport/r"}])],
        refs=["DiagnosticReport/r"],
    ),
    case(
        "permitted: what depends on a report",
        "PERMIT",
        [permit(data=[{"meaning": "dependents", "ref": "DiagnosticReport/r"}])],
        refs=["DiagnosticReport/r"],
    ),
    case(
        "written by one",
        "DENY",
        [permit(deny(data=[{"meaning": "authoredby", "ref": "Practitioner/bob"}]))],
        authors=["Practitioner/bob"],
    ),
    case(
        "written by nobody knows whom",
        "DENY",
        [permit(deny(data=[{"meaning": "authoredby", "ref": "Practitioner/bob"}]))],
        authors=None,
    ),
    case(
        "written by somebody else",
        "PERMIT",
        [permit(deny(data=[{"meaning": "authoredby", "ref": "Practitioner/bob"}]))],
        authors=["Practitioner/al"],
    ),
    case("of a type", "DENY", [permit(deny() | {"class": ["Condition", "Observation"]})]),
    case("of another type", "PERMIT", [permit(deny() | {"class": ["Condition"]})]),
    case(
        "a code anywhere", "DENY", [permit(deny(code=[f"{SNOMED}|1"]))], codes=[f"{SNOMED}|2"], anyCodes=[f"{SNOMED}|1"]
    ),
    case(
        "a permit wants the main code",
        "DENY",
        [deny(permit(code=[f"{SNOMED}|1"]))],
        codes=[f"{SNOMED}|2"],
        anyCodes=[f"{SNOMED}|1"],
    ),
    case("a permit by main code", "PERMIT", [deny(permit(code=[f"{SNOMED}|1"]))], codes=[f"{SNOMED}|1"]),
    case("normal data", "PERMIT", [permit(securityLabel=["N"])]),
    case("less than normal", "PERMIT", [permit(securityLabel=["N"])], labels=["L"]),
    case(
        "restricted data above the ceiling", "DENY outside", [permit(securityLabel=["N"])], "permit-all", labels=["R"]
    ),
    case("sensitive data are restricted", "DENY outside", [permit(securityLabel=["N"])], labels=["SDV"]),
    case("not labelled yet, under a permit", "DENY outside", [permit(securityLabel=["V"])], labelled=False),
    case("not labelled yet, under a deny", "DENY", [permit(deny(securityLabel=["HIV"]))], labelled=False),
    case("the highest ceiling counts", "PERMIT", [permit(securityLabel=["N", "R"])], labels=["PSY", "R"]),
    case("very restricted", "DENY outside", [permit(securityLabel=["R"])], labels=["V"]),
    case("a floor leaves what is below", "PERMIT", [permit(deny(securityLabel=["R"]))], labels=["N"]),
    case("a floor takes what is above", "DENY", [permit(deny(securityLabel=["R"]))], labels=["V"]),
    case("one sensitivity permitted of two", "DENY outside", [permit(securityLabel=["PSY"])], labels=["PSY", "HIV"]),
    case("both permitted", "PERMIT", [permit(securityLabel=["PSY", "HIV"])], labels=["PSY", "HIV"]),
    case("permitted, but more than restricted", "DENY outside", [permit(securityLabel=["PSY"])], labels=["PSY", "V"]),
    case("a sensitivity opens nothing that has none", "DENY outside", [permit(securityLabel=["PSY"])], labels=["R"]),
    case("one sensitivity denied of two", "DENY", [permit(deny(securityLabel=["HIV"]))], labels=["PSY", "HIV"]),
    case("the tree: alcohol is substance use", "DENY", [permit(deny(securityLabel=["SUD"]))], labels=["ETHUD"]),
    case("PCF's tree: opioids are substance abuse", "DENY", [permit(deny(securityLabel=["ETH"]))], labels=["OPIOIDUD"]),
    case("not upwards", "PERMIT", [permit(deny(securityLabel=["ETHUD"]))], labels=["SUD"]),
    case("HIV in the system of confidentiality", "DENY", [permit(deny(securityLabel=[["C", "HIV"]]))], labels=["HIV"]),
    case(
        "a consent that hides some data is hidden itself", "DENY", [permit(deny(securityLabel=["R"]))], type="Consent"
    ),
    case(
        "also one that hides it from everybody at once",
        "DENY",
        [permit(securityLabel=["N"])],
        type="Consent",
    ),
    case("one that hides from others is not", "PERMIT", [permit(deny(actor=["Practitioner/x"]))], type="Consent"),
    case(
        "nor one that hides some data from others",
        "PERMIT",
        [permit(deny(actor=["Practitioner/x"]) | {"class": ["Condition"]})],
        type="Consent",
    ),
    case(
        "who records consents sees it",
        "PERMIT",
        [permit(deny() | {"class": ["Condition"]})],
        request={"records": True},
        type="Consent",
    ),
    case("oneself", "PERMIT self", [deny()], request=by("Patient/p", purpose=["PATRQT"])),
    case("another patient", "DENY default", [permit(actor=["Patient/q"])], request=by("Patient/r", purpose=["PATRQT"])),
    case("what is denied to leave may be read", "PERMIT", [permit(deny(action=["disclose"]))]),
    case(
        "what is denied to leave does not", "DENY", [permit(deny(action=["disclose"]))], request={"action": "disclose"}
    ),
    case(
        "break-glass within a dissent",
        "PERMIT",
        [deny(permit(actor=["Group/er"], purpose=["BTG"]))],
        request=by("Practitioner/dr1", "Group/er", purpose=["TREAT", "BTG"], mayBTG=True),
    ),
    case(
        "break-glass by a stranger",
        "DENY",
        [deny(permit(actor=["Group/er"], purpose=["BTG"]))],
        request=by("Practitioner/x", purpose=["TREAT", "BTG"], mayBTG=True),
    ),
]
