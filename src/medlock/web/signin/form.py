"""Forms as browsers send them (application/x-www-form-urlencoded), bounded; each field once unless it may repeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from medlock.errors import BadRequest

BODY_BYTES = 64 * 1024
FIELDS_MAX = 400
TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one request, in order. Values are patient data and secrets: never shown by repr."""

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def one(self, name: str) -> str:
        """A field's value, empty when it is not there. Raises BadRequest when it is there twice."""
        found = self.all(name)
        if len(found) > 1:
            raise BadRequest("A field of this form came twice. Go back, reload the page and try again.")
        return found[0] if found else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field."""
        return tuple(value for key, value in self.pairs if key == name)


def parse_form(raw: bytes) -> Form:
    """Fields of a body or query. Raises BadRequest for what is not UTF-8, not a form, or has too many fields."""
    try:
        text = raw.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict") if text else []
    except ValueError:
        raise BadRequest("This form cannot be read. Go back, reload the page and try again.") from None
    if any("\0" in value for _, value in pairs):
        raise BadRequest("This form cannot be read. Go back, reload the page and try again.")
    return Form(tuple(pairs))
