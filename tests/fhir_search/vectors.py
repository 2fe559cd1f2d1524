"""Reads the vector files of tests/vectors/search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parents[1] / "vectors" / "search"


def load(name: str) -> dict[str, Any]:
    """One vector file."""
    content: dict[str, Any] = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    return content
