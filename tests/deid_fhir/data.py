"""The Synthea bundles, where they are."""

import gzip
from functools import cache
from pathlib import Path

import orjson

SHARED = Path(__file__).parents[2].parent / "shared/data"
SYNTHEA = sorted([*(SHARED / "synthea").glob("*.json.gz"), *(SHARED / "synthea-uscore").glob("*.json.gz")])


@cache
def raw(path):
    return gzip.decompress(path.read_bytes())


def bundle(path):
    return orjson.loads(raw(path))
