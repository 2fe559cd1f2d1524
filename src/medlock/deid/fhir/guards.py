"""Default-deny by datatype: what each of R4's primitive types may carry into the output under a preset.

A string reaches the output only when it is on a closed list, has the form of its type and cannot hold more, has been
replaced, or is prose that was cleaned. Which of these holds is settled by the place when the rules are compiled, so
that a record passes through plain function calls. `guard_types` does the same for the types that are read whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from medlock.deid.fhir.attachments import cleaned_data
from medlock.deid.fhir.codesystems import is_known_system
from medlock.deid.fhir.days import is_date, moved
from medlock.deid.fhir.guard_types import Types
from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.partial_dates import year_of
from medlock.deid.fhir.profile import Dates, Profile
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.run import Leaf, NodeChange, Place, Run, redacted
from medlock.deid.fhir.vocabulary import UNSHIPPED, is_language, media_type
from medlock.fhir.structures import codes, resource_types

# Elements that hold prose about care: cleaned where there is a cleaner. Names, numbers and labels are not among them.
PROSE: Final = frozenset(
    word
    for line in (
        "text description comment conclusion summary note detail patientInstruction instruction mitigation rationale",
        "disposition value content administrationInstruction preparationInstruction statusReason onset abatement",
        "performed occurrence payload usage purpose extraDetails availabilityExceptions overrideReason question answer",
        "cancelledReason title display diagnostics textEquivalent reason",
    )
    for word in line.split()
)
_LINKS: Final = frozenset(
    {("Questionnaire", "linkId"), ("Questionnaire", "question"), ("QuestionnaireResponse", "linkId")}
)
_COORDINATES: Final = frozenset({"latitude", "longitude", "altitude"})
_SAMPLES: Final = re.compile(r"[0-9EUL .+e-]*", re.ASCII)
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_PROFILE: Final = re.compile(r"http://hl7\.org/fhir/(?:us/core/)?StructureDefinition/[A-Za-z-]{1,60}")
_VERSION: Final = re.compile(r"(?:\|\d{1,2}(?:\.\d{1,2}){0,2})?", re.ASCII)


@dataclass(frozen=True)
class Guard:
    """The treatment of everything that no other rule of a preset reaches."""

    profile: Profile
    pseudonyms: Pseudonyms

    def node(self, place: Place) -> NodeChange | None:
        """Types that are read whole."""
        return Types(self.profile, self.pseudonyms).change(place)

    def leaf(self, place: Place) -> Leaf:
        """By the primitive type; what is not named here does not pass."""
        made: dict[str, Callable[[Place], Leaf]] = {
            "boolean": lambda _: _boolean,
            "decimal": _number,
            "integer": _number,
            "positiveInt": _number,
            "unsignedInt": _number,
            "code": _code,
            "date": self._date,
            "dateTime": self._date,
            "instant": self._instant,
            "time": lambda _: _time if self.profile.dates is not Dates.YEAR else _removed,
            "id": self._id,
            "string": self._string,
            "markdown": self._string,
            "uri": self._uri,
            "canonical": self._uri,
            "base64Binary": lambda _: _binary if place.owner == "Binary" else _removed,
        }
        return made.get(place.kind, _nothing)(place)

    def _date(self, _place: Place) -> Leaf:
        move = _moved_if_young if self.profile.cap_ages else _moved
        return {Dates.YEAR: _year, Dates.SHIFT: move, Dates.KEEP: _plain_date}[self.profile.dates]

    def _instant(self, place: Place) -> Leaf:
        # An instant has no shorter form that R4 allows.
        return _removed if self.profile.dates is Dates.YEAR else self._date(place)

    def _id(self, place: Place) -> Leaf:
        return self._pseudonym if place.name == "id" and place.owner in resource_types() else _removed

    def _string(self, place: Place) -> Leaf:
        if (place.owner, place.name) == ("SampledData", "data"):
            return _samples
        if (place.owner.partition(".")[0], place.name) in _LINKS:
            return self._pseudonym
        return _prose if place.name in PROSE and place.owner not in {"Address", "HumanName"} else _removed

    def _uri(self, place: Place) -> Leaf:
        match place.owner, place.name:
            case "Extension", "url":
                return _same  # the guard of the extension has read it
            case "Meta", "profile":
                return _official
            case "Bundle.entry", "fullUrl":
                return self._full_url
            case "Bundle.entry.request", "url":
                return self._request
            case _:
                return _removed

    def _pseudonym(self, value: Any, run: Run) -> Any:
        if type(value) is not str:
            return _removed(value, run)
        run.marks |= Mark.PSEUDONYMISED
        return self.pseudonyms.id(value)

    def _full_url(self, value: Any, run: Run) -> Any:
        return self.pseudonyms.full_url(value) if type(value) is str else _removed(value, run)

    def _request(self, value: Any, run: Run) -> Any:
        if type(value) is not str:
            return _removed(value, run)
        return value if value in resource_types() or not value else self.pseudonyms.reference(value)


def _nothing(_place: Place) -> Leaf:
    return _removed


def _removed(value: Any, run: Run) -> Any:
    if value is not None:
        redacted(run)


def _same(value: Any, _run: Run) -> Any:
    return value


def _boolean(value: Any, run: Run) -> Any:
    return value if type(value) is bool else _removed(value, run)


def _number(place: Place) -> Leaf:
    return _removed if place.name in _COORDINATES else _plain_number


def _plain_number(value: Any, run: Run) -> Any:
    return value if type(value) in {int, float} else _removed(value, run)


def _code(place: Place) -> Leaf:
    """A code from the list that R4 binds the element to, or of a form that cannot hold more."""
    bound = place.element.codes if place.element else ""
    if bound == "mimetypes":
        return _binary_type if place.owner == "Binary" else _media_type
    listed = frozenset(code for _, code in codes(bound)) or UNSHIPPED.get(bound, frozenset())
    if not listed:
        return _language if place.name == "language" else _extension_code if place.owner == "Extension" else _removed

    def allowed(value: Any, run: Run) -> Any:
        return value if type(value) is str and value in listed else _removed(value, run)

    return allowed


def _media_type(value: Any, run: Run) -> Any:
    return (media_type(value) or _removed(value, run)) if type(value) is str else _removed(value, run)


def _binary(value: Any, run: Run) -> Any:
    """The data of a Binary, cleaned like an attachment."""
    content = cleaned_data(value, run.resource.get("contentType"), run.subject.clean)
    return base64.b64encode(content[1]).decode() if content else _removed(value, run)


def _binary_type(value: Any, run: Run) -> Any:
    """The type of what is left of a Binary: the text of a PDF is plain text."""
    content = cleaned_data(run.resource.get("data"), value, run.subject.clean)
    return content[0] if content else _media_type(value, run)


def _language(value: Any, run: Run) -> Any:
    return value if type(value) is str and is_language(value) else _removed(value, run)


def _extension_code(value: Any, run: Run) -> Any:
    """The codes of the extensions that pass: birth sex, and why data are absent."""
    known = {"F", "M", "UNK", "OTH", "unknown", "masked", "not-asked", "asked-unknown", "not-applicable", "error"}
    return value if type(value) is str and value in known else _removed(value, run)


def _time(value: Any, run: Run) -> Any:
    return value if type(value) is str and _TIME.fullmatch(value) else _removed(value, run)


def _samples(value: Any, run: Run) -> Any:
    return value if type(value) is str and _SAMPLES.fullmatch(value) else _removed(value, run)


def _official(value: Any, run: Run) -> Any:
    if type(value) is not str:
        return _removed(value, run)
    address, version = value.partition("|")[0], "".join(value.partition("|")[1:])
    return value if _PROFILE.fullmatch(address) and _VERSION.fullmatch(version) else _removed(value, run)


def _year(value: Any, run: Run) -> Any:
    if type(value) is not str:
        return _removed(value, run)
    if value not in run.subject.dates:
        run.subject.dates[value] = year_of(value, run.today)
    run.marks |= Mark.ABSTRACTED if run.subject.dates[value] else Mark.REDACTED
    return run.subject.dates[value]


def _moved(value: Any, run: Run) -> Any:
    if type(value) is not str:
        return _removed(value, run)
    if value not in run.subject.dates:
        run.subject.dates[value] = moved(value, run.subject.days)
    run.marks |= Mark.PSEUDONYMISED if run.subject.dates[value] else Mark.REDACTED
    return run.subject.dates[value]


def _moved_if_young(value: Any, run: Run) -> Any:
    """Moved, unless the date tells an age over 89 (45 CFR 164.514(b)(2)(i)(C))."""
    if type(value) is not str or year_of(value, run.today) is None:
        return _removed(value, run)
    return _moved(value, run)


def _plain_date(value: Any, run: Run) -> Any:
    return value if type(value) is str and is_date(value) else _removed(value, run)


def _prose(value: Any, run: Run) -> Any:
    if type(value) is not str or run.subject.clean is None:
        return _removed(value, run)
    cleaned = run.subject.clean.text(value)
    run.marks |= Mark.REDACTED if cleaned != value else 0
    return cleaned or None


def is_system(text: Any) -> bool:
    """True for the address of a code system on the list."""
    return type(text) is str and is_known_system(text)
