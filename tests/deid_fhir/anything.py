"""Random resources of any R4 type, with a marker in every string."""

import base64
import random

from medlock.fhir.structures import codes, is_primitive, resource_types, structure

TYPES = sorted(resource_types())
DAY = "1961-07-13"


class Maker:
    """Builds values from the definitions; `markers` maps each marker to the place where it was planted."""

    def __init__(self, seed, depth=4):
        self.random = random.Random(seed)
        self.markers = {}
        self.depth = depth

    def marker(self, place):
        text = f"Zq{len(self.markers):05d}xw"
        self.markers[text] = place
        return text

    def resource(self, kind, depth=0):
        return {"resourceType": kind} | self.object(kind, depth)

    def object(self, kind, depth):
        out = {}
        for element in structure(kind).elements:
            if element.name == "contained" and depth > 1:
                continue
            if self.random.random() < (0.9 if depth < 2 else 0.55) or element.min:
                key, inner = self.random.choice(element.members())
                value = self.value(kind, element, inner, depth + 1)
                if value is None:
                    continue
                out[key] = [value, self.value(kind, element, inner, depth + 1) or value] if element.is_list else value
                if is_primitive(inner) and f"_{key}" in element.json_names() and self.random.random() < 0.2:
                    beside = {"extension": [{"url": self.marker("url"), "valueString": self.marker("beside")}]}
                    out[f"_{key}"] = [beside, None] if element.is_list else beside
        out[self.marker("unknown member")] = self.marker("unknown value")
        return out

    def value(self, owner, element, kind, depth):
        if is_primitive(kind):
            return self.primitive(owner, element, kind)
        if depth > self.depth:
            return None
        if kind == "Resource":
            return self.resource(self.random.choice(TYPES), depth + 1) if depth < 3 else None
        return self.object(kind, depth)

    def primitive(self, owner, element, kind):
        if kind in {"boolean", "integer", "positiveInt", "unsignedInt", "decimal"}:
            return True if kind == "boolean" else 7
        if kind in {"date", "dateTime", "instant"} and self.random.random() < 0.8:
            return DAY + ("T11:12:13.456+02:00" if kind == "instant" else "")
        if kind == "code" and element.codes and codes(element.codes) and self.random.random() < 0.5:
            return self.random.choice(codes(element.codes))[1]
        if kind == "uri" and element.name == "system" and self.random.random() < 0.5:
            return self.random.choice(["http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"])
        return self.text(kind, self.marker(f"{owner}.{element.name}"))

    def text(self, kind, marker):
        if kind == "base64Binary":
            return base64.b64encode(f"a note about {marker}".encode()).decode()
        if kind == "xhtml":
            return f'<div xmlns="http://www.w3.org/1999/xhtml">{marker}</div>'
        before = "" if kind == "code" else self.random.choice(["", "urn:uuid:", "http://x.org/Patient/", "Patient/"])
        return before + marker
