"""A naive scanner for the 18 identifier kinds of 45 CFR 164.514(b)(2)(i), which shares no code with the engine.

It reads the original record, writes down everything in it that names or numbers somebody, and then looks for any of
it, and for anything that looks like it, in every string of an output: keys, values, and what is in base64.
"""

import base64
import binascii
import re

KINDS = {
    1: "names", 2: "geography", 3: "dates and ages", 4: "telephones", 5: "fax", 6: "e-mail", 7: "social security",
    8: "medical record", 9: "health plan", 10: "account", 11: "certificate or licence", 12: "vehicle", 13: "device",
    14: "web address", 15: "IP address", 16: "biometric", 17: "photograph", 18: "other unique number",
}  # fmt: skip
PUBLIC_HOSTS = (
    "loinc.org", "snomed.info", "hl7.org", "terminology.hl7.org", "unitsofmeasure.org", "www.nlm.nih.gov", "nucc.org",
    "dicom.nema.org", "ihe.net", "www.nubc.org", "www.cms.gov", "www.ama-assn.org", "www.whocc.no",
    "deidentified.invalid", "www.w3.org", "bluebutton.cms.gov",
)  # fmt: skip
DEVICE = ("serialNumber", "lotNumber", "deviceIdentifier", "carrierHRF", "distinctIdentifier", "uid")
TYPED = {"SS": 7, "MR": 8, "DL": 11, "PPN": 11, "MB": 9, "AN": 10, "SN": 13}


def strings(tree):
    """Every string in a tree, member names included; what is base64 of text is opened too."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from strings(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from strings(value)
    elif isinstance(tree, str):
        yield tree
        yield from opened(tree)


def opened(text):
    if len(text) < 8 or len(text) % 4 or not re.fullmatch(r"[A-Za-z0-9+/\s]+=*", text):
        return
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return
    yield raw.decode("utf-8", "replace")
    yield raw.decode("latin-1")


def objects(tree):
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from objects(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from objects(value)


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def secrets(record):
    """(kind, text) of everything in a record that identifies somebody in it."""
    found = set()
    for each in objects(record):
        found |= {*names(each), *places(each), *contacts(each), *numbers(each)}
    return {(kind, text) for kind, text in found if len(text) > 2}


def names(each):
    for name in listed(each.get("name")):
        if isinstance(name, dict):
            yield from ((1, text) for text in [name.get("family"), *listed(name.get("given"))] if text)
        elif each.get("resourceType") in {"Organization", "Location", "HealthcareService"}:
            yield 2, name
    if str(each.get("url", "")).endswith("patient-mothersMaidenName"):
        yield from ((1, word) for word in each["valueString"].split())
    if "display" in each and re.match(r"Practitioner|Organization|Location", str(each.get("reference"))):
        yield 1, each["display"]


def places(each):
    if "line" in each or "postalCode" in each:
        yield from ((2, text) for text in [*each.get("line", []), each.get("city"), each.get("postalCode")] if text)
    for key in {"latitude", "longitude"} & set(each):
        yield 2, str(each[key])
    if each.get("url") in {"latitude", "longitude"}:
        yield 2, str(each["valueDecimal"])


def contacts(each):
    if each.get("system") in {"phone", "fax", "email", "pager", "sms"} and "value" in each:
        yield {"fax": 5, "email": 6}.get(each["system"], 4), each["value"]


def numbers(each):
    for identifier in listed(each.get("identifier")):
        if isinstance(identifier, dict) and "value" in identifier:
            codings = identifier.get("type", {}).get("coding", [])
            yield next((TYPED[c["code"]] for c in codings if c.get("code") in TYPED), 18), identifier["value"]
    for key, kind in (("subscriberId", 9), *((key, 13) for key in DEVICE)):
        if isinstance(each.get(key), str):
            yield kind, each[key]
    ids = [each.get("id") if "resourceType" in each else None, each.get("fullUrl"), each.get("versionId")]
    yield from ((18, text.rpartition(":")[2]) for text in ids if len(str(text)) > 8)
    if "?identifier=" in str(each.get("reference", "")):
        yield 18, each["reference"].rpartition("|")[2]


LOOKS = [
    (3, re.compile(r"(?<![\w.-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-[0-3]\d)?(?![\w-])")),
    (3, re.compile(r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-[0-3]\dT")),
    (3, re.compile(r"(?<![\d/])\d{1,2}/\d{1,2}/\d{2,4}(?![\d/])")),
    (4, re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])")),
    (6, re.compile(r"[\w.+-]+@[\w-]+\.\w+")),
    (7, re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    (15, re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")),
]


def uncoded(tree):
    """Every string that is not the code of a coding."""
    for each in objects(tree):
        for key, value in each.items():
            if not (key == "code" and "system" in each):
                yield from (text for text in listed(value) if isinstance(text, str))


def years_old(record, today_year):
    """Years that tell an age over 89, and ages over 90."""
    for each in objects(record):
        for key, value in each.items():
            for text in listed(value):
                if (
                    isinstance(text, str)
                    and re.fullmatch(r"(?:18|19|20)\d\d", text)
                    and key not in {"code", "display"}
                    and int(text) < today_year - 90
                ):
                    yield 3, f"{key} {text}"
        if each.get("code") == "a" and isinstance(each.get("value"), int | float) and each["value"] > 90:
            yield 3, "age"


def stands_in(secret, text):
    """True when `secret` is in `text` as a whole word, whatever the case."""
    return re.search(rf"(?<![^\W_]){re.escape(secret.lower())}(?![^\W_])", text) is not None


def images(output):
    for each in objects(output):
        if {"data", "url"} & set(each) and (found := re.match(r"image|video|audio", str(each.get("contentType")))):
            yield (16 if found[0] == "audio" else 17), found[0]


def leaks(output, known, today_year=2026):
    """(kind, text) of everything of `known`, or that looks like it, in an output."""
    everything = "\n".join(set(strings(output)))
    lowered, plain = everything.lower(), "\n".join(uncoded(output)).lower()
    words = set(re.findall(r"\w+", lowered))
    found = {*years_old(output, today_year), *images(output)}
    for kind, secret in known:
        # Three digits of somebody's number are also somebody's vaccine code: short ones count outside of codings only.
        first = re.findall(r"\w+", secret.lower())[:1]
        if (not first or first[0] in words) and stands_in(secret, lowered if len(secret) > 4 else plain):
            found.add((kind, secret))
    for kind, look in LOOKS:
        found |= {(kind, text) for text in look.findall(everything)}
    hosts = re.findall(r"https?://([^/\s\"'<>|]+)", everything)
    return found | {(14, host) for host in hosts if host not in PUBLIC_HOSTS}
