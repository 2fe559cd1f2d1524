"""What a node of a resource says to a search parameter, by its data type: the oracle's own reading of R4 §3.1.1.4."""

from __future__ import annotations

import calendar
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from fhir_search.definitions import Node, definitions, points_to

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def relative(reference: str, base_url: str) -> str:
    """A reference without the server's own address."""
    return reference[len(base_url) + 1 :] if base_url and reference.startswith(base_url + "/") else reference


def identifier(node: Node) -> Node:
    """The identifier inside a reference."""
    held = node.value.get("identifier", {}) if isinstance(node.value, dict) else {}
    return Node(held, "Identifier", "")


def tokens(node: Node) -> list[tuple[str, str]]:
    """(system, code) pairs of a node."""
    value = node.value
    if node.type == "CodeableConcept":
        return [pair for coding in value.get("coding", []) for pair in tokens(Node(coding, "Coding", ""))]
    if node.type in {"Coding", "Identifier"}:
        pair = (value.get("system", ""), value.get("code" if node.type == "Coding" else "value", ""))
        return [] if pair == ("", "") else [pair]
    if node.type == "ContactPoint":
        return [("", value["value"])] if "value" in value else []
    if isinstance(value, bool):
        return [("", str(value).lower())]
    return [("", value)] if isinstance(value, str) else []


def implicit_systems(node: Node) -> set[str]:
    """The code systems of the value set that a `code` element is bound to."""
    if node.type != "code":
        return set()
    url = definitions().elements[node.path].get("binding", {}).get("valueSet", "").split("|")[0]
    included = definitions().value_sets.get(url, {}).get("compose", {}).get("include", [])
    return {part["system"] for part in included if "system" in part}


def targets(node: Node, base_url: str) -> list[str]:
    """What a node of a reference parameter points to."""
    if node.type in {"canonical", "uri"}:
        return [t for t in dict.fromkeys([node.value, node.value.split("|")[0]]) if t[:1] != "#"]
    if node.type == "Resource":
        return [f"{node.value['resourceType']}/{node.value['id']}"] if "id" in node.value else []
    if node.type != "Reference":
        return []
    reference = relative(node.value.get("reference", ""), base_url)
    if not reference or reference.startswith("#"):
        return []
    local = not re.match(r"[a-z]+:", reference) and points_to({"reference": reference})
    return [re.sub(r"/_history/.*", "", reference) if local else reference]


def spans(node: Node) -> list[tuple[datetime, datetime]]:
    """The time ranges of a node."""
    value = node.value
    if node.type == "Period":
        if not {"start", "end"} & value.keys():
            return []
        return [
            (
                span(value["start"])[0] if "start" in value else BEGINNING,
                span(value["end"])[1] if "end" in value else END,
            )
        ]
    if node.type == "Timing":
        bounds = value.get("repeat", {}).get("boundsPeriod", {})
        parts = [span(event) for event in value.get("event", [])] + spans(Node(bounds, "Period", ""))
        return [(min(p[0] for p in parts), max(p[1] for p in parts))] if parts else []
    if node.type == "instant":
        return [(span(value)[0], span(value)[0] + MS)]
    return [span(value)] if node.type in {"date", "dateTime"} else []


def span(text: str) -> tuple[datetime, datetime]:
    """The range of time that a written date covers, in UTC, to the millisecond."""
    day, _, clock = text.partition("T")
    numbers = [int(n) for n in day.split("-")]
    low = datetime(*[*numbers, 1, 1][:3], tzinfo=UTC)  # type: ignore[arg-type]
    if not clock:
        days = [366 if calendar.isleap(low.year) else 365, calendar.monthrange(low.year, low.month)[1], 1]
        return low, low + timedelta(days=days[len(numbers) - 1])
    clock, zone = re.fullmatch(r"([\d:.]+)(.*)", clock).groups()  # type: ignore[union-attr]
    hours, minutes, seconds = [*clock.split(":"), None][:3]  # type: ignore[list-item]
    whole, dot, parts = (seconds or "0").partition(".")
    low += timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
    low += timedelta(milliseconds=int((parts + "000")[:3]))
    if zone not in {"", "Z"}:
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        low = low - offset if zone[0] == "+" else low + offset
    if seconds is None:
        return low, low + timedelta(minutes=1)
    return low, low + (timedelta(seconds=1) if not dot else timedelta(milliseconds=10 ** max(3 - len(parts), 0)))


def milliseconds(limits: tuple[datetime, datetime]) -> tuple[int, int]:
    """A range in milliseconds since 1970, as medlock keeps it; open ends are +-2^62."""
    low, high = limits
    return (
        -(1 << 62) if low == BEGINNING else (low - EPOCH) // MS,
        1 << 62 if high == END else (high - EPOCH) // MS,
    )


def numbers(node: Node) -> list[Fraction]:
    """The numbers of a node."""
    if node.type == "Range":
        return [value for value, *_ in quantities(node)]
    return [Fraction(str(node.value))] if node.type in {"decimal", "integer"} else []


def quantities(node: Node) -> list[tuple[Fraction, str, str, str]]:
    """(value, system, code, unit) of a node; a Range and a SampledData give their two bounds."""
    value = node.value
    if node.type == "Range":
        return [q for end in ("low", "high") if end in value for q in quantities(Node(value[end], "Quantity", ""))]
    if node.type == "SampledData":
        origin = value["origin"]
        return [(n, origin.get("system", ""), origin.get("code", ""), origin.get("unit", "")) for n in samples(value)]
    if "value" not in value:
        return []
    if node.type == "Money":
        currency = value.get("currency", "")
        return [(Fraction(str(value["value"])), "urn:iso:std:iso:4217" if currency else "", currency, "")]
    if node.type not in {"Quantity", "Age", "Duration"}:
        return []
    return [(Fraction(str(value["value"])), value.get("system", ""), value.get("code", ""), value.get("unit", ""))]


def samples(data: dict[str, Any]) -> list[Fraction]:
    """The least and the greatest value of a SampledData."""
    origin = Fraction(str(data["origin"].get("value", 0)))
    known = []
    for word in data.get("data", "").split():
        raw = data.get({"U": "upperLimit", "L": "lowerLimit"}.get(word, ""), word)
        if raw not in {"E", "U", "L"}:
            known.append(origin + Fraction(str(raw)) * Fraction(str(data.get("factor", 1))))
    return [min(known), max(known)] if known else [origin]


def texts(node: Node) -> list[str]:
    """The texts that a string parameter compares with."""
    value = node.value
    if node.type in {"HumanName", "Address"}:
        skipped = {"use", "type", "period", "id", "extension"}
        held = [(k, t) for k, v in value.items() if k not in skipped for t in (v if isinstance(v, list) else [v])]
        return [t for k, v in held if v is not None for t in ([v, *_parts(v)] if k == "family" else [v])]
    if node.type not in {"string", "markdown"}:
        return []
    return [value, *(_parts(value) if node.path == "HumanName.family" else [])]


def _parts(family: str) -> list[str]:
    return [part for part in re.split(r"[\s-]+", family) if part]


def uris(node: Node) -> list[str]:
    """The uris of a node; a canonical counts with and without its version."""
    return [node.value, node.value.split("|")[0]] if node.type == "canonical" else [node.value]


def folded(text: str) -> str:
    """Lower case, no accents, no apostrophes or full stops, other punctuation as spaces, single spaces."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = "".join(c for c in text if unicodedata.combining(c) == 0)
    text = re.sub(r"['.\u2018\u2019\u02bc\u02bb`]", "", text)
    return re.sub(r"[\W_]+", " ", text).strip()
