"""How log data are written before they are sealed: MessagePack arrays, padded so that lengths tell little.

Padding is ISO/IEC 7816-4 (a mark, then zeros) to a multiple of a step; docs/spec/audit.md §3. Arrays only ever
grow at the end. What opens but has another form was sealed by a newer program, and is refused as `Tampered`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from medlock.errors import Tampered

FORMAT = 1
"""The first item of every array in a head, checkpoint or run index."""

_MARK = b"\x80"
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


def pad(plain: bytes, step: int) -> bytes:
    """`plain`, a mark, and zeros up to a multiple of `step` bytes."""
    return plain + _MARK + bytes(-(len(plain) + 1) % step)


def padding(step: int) -> tuple[bytes, ...]:
    """By the length of a plain text modulo `step`, what `pad` puts behind it: looked up where thousands are padded."""
    return tuple(pad(bytes(length), step)[length:] for length in range(step))


def unpad(padded: bytes) -> bytes:
    """Undo `pad`. Raises Tampered: what is not padded was never sealed by this program."""
    plain = padded.rstrip(b"\x00")
    if not plain.endswith(_MARK):
        raise Tampered("sealed log data without padding")
    return plain[:-1]
