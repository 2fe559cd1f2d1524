"""The words that the fuzzer writes with: usual values of each kind, common parameters, patches; and nasty ones."""

from __future__ import annotations

from typing import Any

OF_KIND = {
    "token": [
        "final", "active", "male", "true", "http://loinc.org|8867-4", "http://snomed.info/sct|38341003", "|x", "8867-4",
        "http://loinc.org|", "vital-signs", "urn:fuzz|1", "http://unitsofmeasure.org|mg",
    ],
    "string": ["Smith", "a", "São", "Anna Maria", "Str"],
    "date": ["2024-01-01", "ge2020", "lt2025-06", "eq2023-05-06T10:11:12Z", "ap2022-02", "2021-03-04T05:06:07.123+02:00", "sa2020", "eb2030", "ne2024"],
    "number": ["1", "gt0.5", "le1e3", "-7", "ap100"],
    "quantity": ["5.4", "ge70", "5.4|http://unitsofmeasure.org|mg", "72||kg", "gt1e2|http://unitsofmeasure.org|mm[Hg]"],
    "uri": ["http://hl7.org/fhir/StructureDefinition/Patient", "urn:oid:1.2.3", "https://example.org/x"],
    "composite": ["http://loinc.org|8867-4$gt60", "8480-6$lt140", "a$b"],
    "special": ["42.1|-71.05|10|km", "42|-71"],
}  # fmt: skip
SHAPES = [
    ("_id", "{id}"), ("_lastUpdated", "ge2020-01-01"), ("_count", "3"), ("_count", "0"), ("_sort", "-_lastUpdated"), ("_summary", "count"),
    ("_total", "accurate"), ("_elements", "id"), ("_summary", "true"), ("_lastUpdated", "lt2030,gt2001"), ("_security", "|R"), ("_tag", "urn:t|x"), ("_pretty", "true"),
]  # fmt: skip
COMMON = [
    ("_id", "{id}"), ("_lastUpdated", "ge2020-01-01"), ("_profile", "http://hl7.org/fhir/StructureDefinition/Patient"),
    ("_security", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"), ("_tag", "urn:t|x"), ("_count", "3"),
    ("_sort", "-_lastUpdated,{param}"), ("_sort", "{param}"), ("_include", "{type}:{param}"), ("_include", "*"),
    ("_include:iterate", "{type}:{param}:{other}"), ("_revinclude", "{other}:{back}"), ("_revinclude:iterate", "{other}:{back}"),
    ("_summary", "true"), ("_summary", "count"), ("_elements", "id,code,subject"), ("_total", "accurate"), ("_total", "none"),
    ("_type", "Patient,Observation"), ("_has:{other}:{back}:_id", "{id}"), ("_has:{other}:patient:code", "8867-4"),
    ("_has:{other}:patient:_has:Provenance:target:agent", "x"), ("{param}.{back}", "x"), ("{param}:{other}.{back}", "1"),
    ("subject:Patient.name", "a"), ("patient.general-practitioner.name", "a"), ("{param}:missing", "true"), ("{param}:not", "x"),
    ("{param}:exact", "x"), ("{param}:contains", "x"), ("{param}:text", "x"), ("{param}:in", "http://hl7.org/fhir/ValueSet/observation-status"),
    ("{param}:not-in", "http://hl7.org/fhir/ValueSet/observation-status"), ("{param}:above", "x"), ("{param}:below", "x"),
    ("{param}:of-type", "http://terminology.hl7.org/CodeSystem/v2-0203|MR|1"), ("{param}:identifier", "urn:x|1"), ("_contained", "true"),
    ("_containedType", "contained"), ("_filter", "name eq x"), ("_list", "x"), ("_text", "x"), ("_content", "x"), ("_query", "x"),
    ("_page", "x"), ("_format", "json"), ("_pretty", "true"), ("_since", "2020-01-01T00:00:00Z"), ("_at", "2024"),
    ("start", "2020-01-01"), ("end", "2030"), ("max", "2"), ("patient", "{id}"), ("mode", "create"), ("type", "http://loinc.org|34117-2"),
]  # fmt: skip
ASKED_OF = {
    "$everything": [("_count", "3"), ("_type", "Observation,Patient"), ("_since", "2020-01-01T00:00:00Z"), ("start", "2020-01-01"), ("end", "2030")],
    "$docref": [("start", "2020-01-01"), ("end", "2030-01-01"), ("type", "http://loinc.org|34117-2"), ("_count", "2")],
    "$lastn": [("max", "2"), ("code", "http://loinc.org|8867-4"), ("category", "vital-signs"), ("_count", "5"), ("date", "ge2020")],
    "_history": [("_since", "2020-01-01T00:00:00Z"), ("_at", "2026"), ("_count", "2")],
    "metadata": [("mode", "full"), ("_format", "json")],
    "$validate": [("mode", "delete")],
}  # fmt: skip
PATCHES: list[dict[str, Any]] = [
    {"op": "replace", "path": "/status", "value": "final"},
    {"op": "test", "path": "/resourceType", "value": "Patient"},
    {"op": "add", "path": "/extension", "value": [{"url": "urn:x", "valueString": "Zsecret"}]},
    {"op": "remove", "path": "/text"},
    {"op": "copy", "from": "/id", "path": "/language"},
    {"op": "move", "from": "/text", "path": "/note/-"},
    {"op": "add", "path": "/identifier/-", "value": {"system": "urn:fuzz", "value": "1"}},
    {"op": "add", "path": "/identifier/0", "value": {"system": "urn:fuzz", "value": "2"}},
]
PATHPATCHES: list[list[dict[str, Any]]] = [
    [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.active"}, {"name": "value", "valueBoolean": False}],
    [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Observation.note[0]"}],
    [{"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}, {"name": "name", "valueString": "language"}, {"name": "value", "valueCode": "en"}],
    [{"name": "type", "valueCode": "insert"}, {"name": "path", "valueString": "Patient.identifier"}, {"name": "index", "valueInteger": 0}, {"name": "value", "valueIdentifier": {"system": "urn:fuzz", "value": "3"}}],
    [{"name": "type", "valueCode": "move"}, {"name": "path", "valueString": "Patient.name"}, {"name": "source", "valueInteger": 0}, {"name": "destination", "valueInteger": 1}],
    [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.name.where(use = 'official').given.first()"}, {"name": "value", "valueString": "Zsecret"}],
]  # fmt: skip

TEXTS = [
    "", " ", "\x00", "a\x00b", "\ud800", "\U0001f600", "\u202e", "\ufeff", "é" * 300, "x" * 5_000, "%", "%00", "%zz", "%2F", "..", "../..",
    "/", "//", "\\", "\\,", "\\$", "\\|", "|", "||", "|||", "$", "$$", ",", "," * 500, ",a", "a,", "a,b" * 200, "&", "=", "?", "#", "'",
    '"', "' OR 1=1 --", "{", "[", "[[", "null", "true", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "9" * 400, "-" + "9" * 30,
    "0.0000000000000000000000000000001", "1e1000000", "1E5", "+1", "--1", "0x10", "٣", "１２", "0000-00-00", "9999-12-31", "9999-99-99", "10000-01-01",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999999-14:00", "2024-02-30", "2024-13", "2024-01-01T24:00:00Z", "2024-01-01T23:59:60Z",
    "2024-01-01T10:00", "2024-1-1", "2024-01-01T10:00:00+99:99", "gt", "gtgt5", "eq", "ap", "ge0001", "ap9999-12-31", "ap0001", "sa9999", "urn:uuid:", "urn:oid:",
    "http://", "http://[", "http://[::1", "https://example.org:99999/Patient/1", "Patient/", "/Patient/1", "Patient/1/_history/", "Patient/1/_history/1",
    "#", "#c", "javascript:alert(1)", "<div>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "<div xmlns='http://www.w3.org/1999/xhtml'><script/></div>", "2147483648", "-1", "18446744073709551616",
    'W/"1"', "*", "_id", "Patient", "patient", "_has:x", "a.b.c.d.e.f.g.h", "a:b:c", ":", ".", "(", ")", "*" * 50, "(a+)+$",
]  # fmt: skip
NODES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 10**30, 10**400, -(10**30), float("nan"), float("inf"), [], {}, [[]], [{}], [None], {"a": None},
    [[[[]]]], {"reference": "Patient/1"}, {"coding": []}, {"coding": [{}]}, {"url": 1}, [1, "a", None, {}], {"": ""}, {"extension": [{"url": "u", "valueString": "Zsecret"}]},
    {"resourceType": "Patient"}, {"resourceType": 1}, {"div": "<div"}, {"status": "generated", "div": 5}, {"value": 10**200}, {"start": "2024", "end": "2020"}, {"start": 1},
]  # fmt: skip
NAMES = [
    "resourceType", "id", "meta", "text", "contained", "extension", "modifierExtension", "identifier", "subject", "_id", "_status", "_birthDate",
    "unknownField", "", "a" * 200, "__proto__", "value", "valueString", "valueQuantity", "fullUrl", "request", "method", "url", "ifMatch", "search", "link", "total", "é",
]  # fmt: skip
HEADERS = [
    ("if-match", "*"), ("if-match", 'W/"99999999999999999999"'), ("if-match", "\x01"), ("if-match", 'W/"1", W/"2"'), ("if-none-match", "*"), ("if-none-match", 'W/"1"'), ("if-none-match", "é"),
    ("if-none-exist", "identifier=urn:fuzz|1"), ("if-none-exist", "?_id=%zz"), ("if-none-exist", "a" * 3000), ("if-none-exist", "_count=5"), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("if-modified-since", "Sun, 31 Feb 0000 99:99:99 GMT"), ("if-modified-since", "yesterday"), ("prefer", "return=representation"), ("prefer", "handling=lenient"), ("prefer", "respond-async, return=x"),
    ("prefer", ';;=,,"'), ("accept", "application/xml"), ("accept", "text/html;q=abc"), ("accept", "application/fhir+json;q=0"), ("accept", "," * 300), ("content-type", "application/xml"),
    ("content-type", "application/fhir+json; charset=latin-1"), ("content-type", ";"), ("content-type", "application/x-www-form-urlencoded"), ("content-type", "application/json-patch+json"),
    ("content-type", "image/png"), ("content-encoding", "gzip"), ("content-encoding", "br"), ("accept-encoding", "gzip"), ("accept-encoding", "gzip;q=x"), ("authorization", "Bearer"),
    ("authorization", "Bearer é"), ("authorization", "Basic x"), ("x-security-context", "Patient/none"), ("x-security-context", "é/?"), ("x-request-id", "a" * 99), ("traceparent", "00-" + "0" * 32 + "-0-0"),
    ("x-http-method-override", "DELETE"), ("host", "evil.example"), ("cookie", "a=b"), ("range", "bytes=0-1"), ("expect", "100-continue"), ("forwarded", "for=1"), ("x-provenance", "{}"),
]  # fmt: skip
