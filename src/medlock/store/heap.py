"""Memory while a process fills itself with what it will keep.

Two habits of the runtime cost a start with a large directory most of its time and memory: the cyclic collector walks
everything again and again although nothing of it can be garbage, and the C library keeps what was freed for later.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def filling() -> Iterator[None]:
    """The collector rests within it; after it, freed memory is the system's again."""
    resting = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not resting:
            gc.enable()
        give_back()


def give_back() -> None:
    """Return freed memory to the system where the C library can (glibc, malloc_trim(3)); elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
