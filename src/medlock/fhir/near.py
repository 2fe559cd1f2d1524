"""Location's `near` (R4, SearchParameter Location-near): latitude|longitude|distance|unit, as the crow flies.

Distances are great circles on a sphere of 6,371,008.8 m, the mean radius of WGS84: at most half a per cent off. Without
a distance ten kilometres are meant, without a unit kilometres. R4 leaves both to the server, but for the unit.
"""

from __future__ import annotations

import re
from math import asin, cos, radians, sin, sqrt
from typing import Any, Final

from medlock.fhir.operands import Malformed, parts_of
from medlock.fhir.query import NearValue

RADIUS: Final = 6_371_008.8
DEFAULT_METRES: Final = 10_000.0
METRES: Final = {"m": 1.0, "km": 1_000.0, "mi": 1_609.344, "[mi_i]": 1_609.344, "[nmi_i]": 1_852.0, "[ft_i]": 0.3048}
_DECIMAL = re.compile(r"-?\d{1,9}(\.\d{1,15})?", re.ASCII)
_FORM = "takes latitude|longitude|distance|unit, in degrees and " + ", ".join(METRES) + "."


def near_value(piece: str) -> NearValue:
    """The place and the distance of one value. Raises Malformed."""
    latitude, longitude, distance, unit, *more = [*parts_of(piece, "|"), "", "", ""]
    if any(more) or not all(_DECIMAL.fullmatch(each) for each in (latitude, longitude, distance or "0")):
        raise Malformed(_FORM)
    metres = DEFAULT_METRES if not distance else float(distance) * METRES.get(unit or "km", -1.0)
    if abs(float(latitude)) > 90 or abs(float(longitude)) > 180 or metres < 0:
        raise Malformed(_FORM)
    return NearValue(float(latitude), float(longitude), metres)


def is_near(wanted: NearValue, resource: dict[str, Any]) -> bool:
    """Whether a Location lies within the distance; one without a position lies nowhere."""
    position = resource.get("position")
    if position is None or "latitude" not in position or "longitude" not in position:
        return False
    return metres_between(wanted, float(position["latitude"]), float(position["longitude"])) <= wanted.metres


def metres_between(place: NearValue, latitude: float, longitude: float) -> float:
    """The great circle between two positions (haversine)."""
    north, south = radians(place.latitude), radians(latitude)
    half = sin((south - north) / 2) ** 2
    half += cos(north) * cos(south) * sin(radians(longitude - place.longitude) / 2) ** 2
    return 2 * RADIUS * asin(sqrt(min(1.0, half)))
