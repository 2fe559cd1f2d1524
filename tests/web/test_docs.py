"""docs/http.md says what the server does."""

import re
from pathlib import Path

from medlock import errors
from medlock.errors import MedlockError
from medlock.fhir.address import ROUTES
from medlock.records.jobs import ASKED_BYTES, PLACES
from medlock.records.outflow import WHOLE_BYTES
from medlock.settings import MIB, Limits
from medlock.web.body import BODY_SECONDS, SLOWEST
from medlock.web.later import KEPT_SECONDS
from medlock.web.protocol import HEAD_BYTES, HEAD_SECONDS
from medlock.web.routes import ASYNC, BULK
from medlock.web.watch import BURST

PAGE = (Path(__file__).parents[2] / "docs/http.md").read_text()


def test_the_route_table_is_the_programs():
    """Addresses and methods are those of fhir.address, and metadata."""
    rows = re.findall(r"^\| `/fhir([^`]*)` \| ([^|]+) \|$", PAGE, flags=re.MULTILINE)
    found = {path or "/": set(re.findall(r"[A-Z]{3,}", methods)) for path, methods in rows}
    assert found == {path: set(methods) for path, methods in ROUTES.items()} | {
        "/metadata": {"GET"},
        ASYNC.decode().removeprefix("/fhir") + "{answer}": {"GET", "DELETE"},
        BULK.decode().removeprefix("/fhir") + "{export}": {"GET", "DELETE"},
        BULK.decode().removeprefix("/fhir") + "{export}/{file}": {"GET"},
    }


def test_every_status_of_an_error_is_listed():
    """Each status that an error can have stands in the table."""
    listed = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, flags=re.MULTILINE) for code in row.split(", ")
    }
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MedlockError)]
    assert listed == {each.http_status for each in kinds}


def test_bounds_are_the_programs():
    """The sizes and times on the page are the constants."""
    limits = Limits()
    assert f"{limits.resource_bytes // MIB} MiB for a resource and {limits.bundle_bytes // MIB} MiB" in PAGE
    assert f"at most {HEAD_BYTES // 1024} KiB and arrives within {HEAD_SECONDS} seconds" in PAGE
    assert f"a body within {BODY_SECONDS}" in PAGE
    assert f"up to {BURST} a minute" in PAGE
    assert f"gone after {KEPT_SECONDS // 60} minutes" in PAGE
    assert f"At most {PLACES} wait for an account" in PAGE
    assert f"a question of more than {ASKED_BYTES // 1024} KiB" in PAGE
    assert "or a Binary, measured" in PAGE
    assert f"the content itself, up to {limits.binary_bytes // MIB} MiB" in PAGE
    assert f"as FHIR JSON (base64), a Binary has {limits.binary_json_bytes // MIB} MiB" in PAGE
    assert f"Up to\n{limits.resource_bytes // MIB} MiB it becomes `Binary.data`" in PAGE
    assert f"Each {SLOWEST // 1024} KiB have {BODY_SECONDS} seconds" in PAGE
    assert f"a content of more than {WHOLE_BYTES // MIB} MiB is 406" in PAGE
