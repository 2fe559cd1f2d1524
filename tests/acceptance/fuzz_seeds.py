"""Valid requests to begin with: every route by method by type by parameter, filled from the loaded clinic.

Routes come from the server's own table, parameters from its CapabilityStatement, values from its records.
"""

from __future__ import annotations

import copy
import json
import random
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from acceptance.fuzz_judge import SECRET
from acceptance.fuzz_request import WRITES, Asked
from acceptance.fuzz_words import ASKED_OF, COMMON, OF_KIND, PATCHES, PATHPATCHES, SHAPES
from medlock.fhir.address import ROUTES

Json = dict[str, Any]
OWN = "urn:fuzz"  # the system of identifiers that the fuzzer writes
ELSEWHERE = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/fhir/metadata"), ("GET", "/fhir/_async/{answer}")}
_BODIES = ("POST", "PUT")


@dataclass
class World:
    """What the fuzzer knows of the clinic: its resources by type, whose record is its own and whose is another's."""

    own: str
    other: str
    others: dict[str, list[str]]  # ids in the other's record, by type; nothing else of it is ever sent
    resources: dict[str, list[Json]]
    params: dict[str, list[tuple[str, str]]]  # name and kind of each search parameter of a type

    @property
    def types(self) -> list[str]:
        """The types that have resources."""
        return list(self.resources)


class Seeds:
    """Draws valid requests."""

    def __init__(self, world: World, rng: random.Random, pages: list[str]) -> None:
        self.world = world
        self.rng = rng
        self.pages = pages
        self._routes = [(method, f"/fhir{route}") for route, methods in ROUTES.items() for method in methods]
        self._routes += [("HEAD", route) for method, route in self._routes if method == "GET"] + sorted(ELSEWHERE)
        self._turns = self._every()

    def _every(self) -> Iterator[tuple[str, str, str, str]]:
        """Every route by method by parameter of a type with resources, in ever new orders; other types now and then."""
        while True:
            turns = [
                (method, route, type_, name)
                for method, route in self._routes
                for type_ in self.world.types
                for name, _ in (self.world.params[type_] if method in {"GET", "POST"} else [("", "")] * 30)
            ]
            others = sorted(set(self.world.params) - set(self.world.types))
            turns += [("GET", "/fhir/{type}", type_, name) for type_ in others for name, _ in self.world.params[type_]]
            self.rng.shuffle(turns)
            yield from turns

    def draw(self) -> Asked:
        """The next request."""
        method, route, type_, name = next(self._turns)
        fixed = route.split("/")[2] if route.count("/") > 1 else ""
        type_ = fixed if fixed in self.world.params else type_
        asked = Asked(self._caller(), method, self._path(route, type_), headers=self._headers(method))
        if method in {"GET", "HEAD"} or route.endswith("_search"):
            asked.params = self._asked(type_, name, route)
        elif not route.endswith("{id}") and method in WRITES:
            asked.params = [("identifier", f"{OWN}|{self.rng.randrange(30)}")]
        asked.body = self._body(method, route, type_)
        if method == "PUT" and route.endswith("{id}") and self.rng.random() < 0.9:
            asked.body["id"] = asked.path.rpartition("/")[2]
        return asked

    def _caller(self) -> str:
        return self.rng.choices(("clinician", "patient", "officer", "nobody"), (45, 45, 8, 2))[0]

    def id_of(self, type_: str) -> str:
        """An id of a resource, sometimes of the other patient's."""
        if self.rng.random() < 0.25 and type_ in self.world.others:
            return self.rng.choice(self.world.others[type_])
        if type_ == "Patient" and self.rng.random() < 0.7:
            return self.world.own
        return str(self.rng.choice(self.world.resources.get(type_) or [{"id": "none"}])["id"])

    def _path(self, route: str, type_: str) -> str:
        path = route.replace("{type}", type_)
        owner = "Patient" if "/Patient/" in route else type_
        return (
            path.replace("{id}", self.id_of(owner))
            .replace("{version}", self.rng.choice("123"))
            .replace("{answer}", "a" * 32)
            .rstrip("/")
        )

    def _headers(self, method: str) -> list[tuple[str, str]]:
        chosen: list[tuple[str, str]] = []
        if self.rng.random() < 0.2:
            chosen.append(("prefer", self.rng.choice(("return=minimal", "respond-async", "return=OperationOutcome"))))
        if method in WRITES and self.rng.random() < 0.1:
            chosen.append(("if-match", 'W/"1"'))
        if self.rng.random() < 0.1:
            chosen.append(("accept", self.rng.choice(("application/fhir+json", "*/*", "application/json"))))
        return chosen

    def _asked(self, type_: str, name: str, route: str) -> list[tuple[str, str]]:
        """Parameters of a search, or of what else is asked with some; links to next pages now and then."""
        if self.pages and self.rng.random() < 0.02:
            return [("_page", self.rng.choice(self.pages))]
        tail = next((word for word in ASKED_OF if word in route and "{version}" not in route), "")
        if tail:
            chosen = self.rng.sample(ASKED_OF[tail], self.rng.choice((0, 1, 1, 2)) % (len(ASKED_OF[tail]) + 1))
            whose = [("patient", self.id_of("Patient"))] if tail in {"$docref", "$lastn"} else []
            return whose + chosen
        if route in {"/fhir/", "/fhir/_search"} or route.endswith(("{id}/*", "Patient/{id}/_search")):
            return [
                self._filled(type_, self.rng.choice(SHAPES)),
                ("_type", ",".join(self.rng.sample(self.world.types, 2))),
            ]
        if route.endswith(("/{type}", "_search")) or not route:
            return self._search(type_, name)
        return [("_format", "json")] if self.rng.random() < 0.2 else []

    def value(self, kind: str) -> str:
        """A value for a parameter of a kind: a usual one, or a text from the records."""
        if kind == "reference" or self.rng.random() < 0.02:
            type_ = self.rng.choice(self.world.types)
            return self.rng.choice(("{0}/{1}", "{1}", "http://elsewhere.example/fhir/{0}/{1}")).format(
                type_, self.id_of(type_)
            )
        if kind == "string" and self.rng.random() < 0.1:
            return f"{SECRET}{self.rng.randrange(99)}"
        return self.rng.choice(OF_KIND.get(kind, OF_KIND["string"]))

    def _search(self, type_: str, name: str) -> list[tuple[str, str]]:
        """Parameters of a search: the one whose turn it is, sometimes others of the type, sometimes common ones."""
        kinds = dict(self.world.params.get(type_, ()))
        names = [name] if name in kinds and self.rng.random() < 0.9 else []
        names += self.rng.sample(list(kinds), min(len(kinds), self.rng.choice((0, 0, 0, 1, 2))))
        params = [(each, self.id_of(type_) if each == "_id" else self.value(kinds[each])) for each in names]
        if self.rng.random() < 0.4 or not params:
            params.append(self._filled(type_, self.rng.choice(self.rng.choice((SHAPES, COMMON)))))
        return params

    def _filled(self, type_: str, param: tuple[str, str]) -> tuple[str, str]:
        """A parameter with its holes filled."""
        name, value = param
        other = self.rng.choice(self.world.types)
        source = self.rng.choice(self.world.params.get(type_) or [("_id", "token")])[0]
        back = self.rng.choice(self.world.params[other])[0]
        words = (
            ("{type}", type_),
            ("{other}", other),
            ("{param}", source),
            ("{back}", back),
            ("{id}", self.id_of(other)),
        )
        for hole, word in words:
            name, value = name.replace(hole, word), value.replace(hole, word)
        return name, value

    def resource(self, type_: str) -> Json:
        """A resource like one of the clinic's, with an identifier of ours and secrets in its texts."""
        made = copy.deepcopy(self.rng.choice(self.world.resources.get(type_) or [{"resourceType": type_}]))
        made.pop("meta", None)
        if type_ != "Provenance":  # which has none
            made["identifier"] = [{"system": OWN, "value": str(self.rng.randrange(30))}]
        if type_ == "Patient":
            made["name"] = [{"family": f"{SECRET}family", "given": [f"{SECRET}given"]}]
        else:
            made["text"] = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{SECRET}</div>'}
        if self.rng.random() < 0.2:
            made["contained"] = [{"resourceType": "Basic", "id": "c", "code": {"text": f"{SECRET}in"}}]
            made["extension"] = [{"url": "urn:x", "valueReference": {"reference": "#c"}}]
        return made

    def _body(self, method: str, route: str, type_: str) -> Any:
        """What a request of this route brings."""
        if method == "PATCH":
            return self.patch(type_)
        if method not in _BODIES or route.endswith("_search"):
            return None
        if route == "/fhir/":
            return self.bundle()
        if "$" in route:
            return self._parameters(route, type_)
        return self.resource(type_)

    def patch(self, type_: str = "Patient") -> Any:
        """A patch of either language."""
        if self.rng.random() < 0.5:
            return copy.deepcopy(self.rng.sample(PATCHES, self.rng.choice((1, 1, 1, 2, 3))))
        operation = copy.deepcopy(self.rng.choice(PATHPATCHES))
        operation[1]["valueString"] = operation[1]["valueString"].replace("Patient", type_)
        return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": operation}]}

    def patch_in_bundle(self) -> Json:
        """A patch as an entry brings it: Parameters, or JSON Patch as the data of a Binary (R4 §3.1.0.6)."""
        patch = self.patch()
        if isinstance(patch, dict):
            return patch
        data = b64encode(json.dumps(patch).encode()).decode()
        return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}

    def _parameters(self, route: str, type_: str) -> Json:
        """What an operation is asked."""
        if route.endswith(("$validate", "$match")):
            given: list[Json] = [{"name": "resource", "resource": self.resource(type_)}]
            extra = (
                {"name": "mode", "valueCode": "update" if "{id}" in route else "create"}
                if route.endswith("$validate")
                else {"name": "count", "valueInteger": 3}
            )
            return {"resourceType": "Parameters", "parameter": [*given, extra]}
        names = {"$everything": "start", "$docref": "patient", "$lastn": "patient"}
        name = next(word for end, word in names.items() if route.endswith(end))
        value = {"valueDate": "2024-01-01"} if name == "start" else {"valueId": self.id_of("Patient")}
        return {"resourceType": "Parameters", "parameter": [{"name": name, **value}]}

    def bundle(self) -> Json:
        """A batch or transaction of a few entries."""
        entries = [self._entry() for _ in range(self.rng.randrange(1, 5))]
        return {"resourceType": "Bundle", "type": self.rng.choice(("batch", "transaction")), "entry": entries}

    def _entry(self) -> Json:
        type_ = self.rng.choice(self.world.types)
        method = self.rng.choice(("GET", "GET", "POST", "POST", "PUT", "PUT", "DELETE", "PATCH"))
        if method == "GET":
            asked = Asked("", "GET", type_, self._search(type_, ""))
            return {"request": {"method": method, "url": asked.address().decode()}}
        if method == "PATCH":
            return {
                "resource": self.patch_in_bundle(),
                "request": {"method": method, "url": f"{type_}/{self.id_of(type_)}"},
            }
        made = self.resource(type_)
        url = type_ if method == "POST" else f"{type_}/{made['id']}"
        entry: Json = {
            "fullUrl": f"urn:uuid:{self.rng.getrandbits(128):032x}",
            "request": {"method": method, "url": url},
        }
        if self.rng.random() < 0.2:
            entry["request"]["ifNoneExist"] = f"identifier={OWN}|{self.rng.randrange(30)}"
        return entry if method == "DELETE" else entry | {"resource": made}
