"""How log data are written before they are sealed: MessagePack arrays, padded so that lengths tell little.

Padding is ISO/IEC 7816-4 (a mark, then zeros) to the next step of a ladder; docs/spec/audit.md §3. Arrays only ever
grow at the end. What opens but has another form was sealed by a newer program, and is refused as `Tampered`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from medlock.errors import Tampered

FORMAT = 1
"""The first item of every array in a head, checkpoint or run index, and the first byte of every entry."""

_SHORT, _SHORT_STEP = 1_024, 128
_LONG, _LONG_STEP = 8_192, 512
_LAST_STEP = 4_096
_MARK = b"\x80"
_TAILS = tuple(_MARK + bytes(count) for count in range(_SHORT_STEP))  # by the number of zeros: spares 1 us an entry
_Form = TypeVar("_Form")

encode = msgspec.msgpack.Encoder().encode
"""MessagePack of a Struct or tuple."""


def decoder(form: type[_Form]) -> Callable[[bytes], _Form]:
    """A function from bytes to `form`; it raises Tampered for anything else, and for another `format`."""
    decode = msgspec.msgpack.Decoder(form).decode
    versioned = "format" in getattr(form, "__struct_fields__", ())

    def opened(plain: bytes) -> _Form:
        try:
            found = decode(plain)
        except (msgspec.MsgspecError, ValueError):
            raise Tampered("sealed log data of an unknown form; were they written by a newer medlock?") from None
        if versioned and getattr(found, "format", None) != FORMAT:
            raise Tampered("sealed log data of an unknown version; were they written by a newer medlock?")
        return found

    return opened


def pad(plain: bytes) -> bytes:
    """`plain`, a mark, and zeros up to the next step."""
    length = len(plain) + 1
    if length <= _SHORT:
        return plain + _TAILS[-length % _SHORT_STEP]
    step = _LONG_STEP if length <= _LONG else _LAST_STEP
    return plain + _MARK + bytes(-length % step)


def unpad(padded: bytes) -> bytes:
    """Undo `pad`. Raises Tampered: what is not padded was never sealed by this program."""
    plain = padded.rstrip(b"\x00")
    if not plain.endswith(_MARK):
        raise Tampered("sealed log data without padding")
    return plain[:-1]
