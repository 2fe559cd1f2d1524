"""RTF (Rich Text Format 1.9.1): its text read, cleaned and written again as plain RTF.

Groups that hold no text of the document (fonts, colours, metadata, pictures, anything marked as optional) are left out
of what is read, and so out of what is written: author, title and revision history never come along.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_TOKEN: Final = re.compile(
    r"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
_SILENT: Final = frozenset(
    {"fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "headerl", "headerr", "footerl",
     "footerr", "generator", "listtable", "listoverridetable", "rsidtbl", "themedata", "datastore", "xmlnstbl",
     "revtbl", "filetbl", "fldinst", "latentstyles", "colorschememapping", "mmathPr", "ftnsep", "bkmkstart", "bkmkend"}
)  # fmt: skip
_WORDS: Final = {
    **dict.fromkeys(("par", "line", "sect", "page", "row"), "\n"),
    **dict.fromkeys(("tab", "cell"), "\t"),
    "emdash": "\u2014",
    "endash": "\u2013",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
    "bullet": "\u2022",
}
_SIGNS: Final = {"~": "\xa0", "_": "-", "\\": "\\", "{": "{", "}": "}", "\n": "\n", "\r": "\n", "-": ""}


class _Group:
    """What a group inherits from the one around it."""

    __slots__ = ("hidden", "skip", "unicode")

    def __init__(self, *, hidden: bool, unicode: int) -> None:
        self.hidden, self.unicode, self.skip = hidden, unicode, 0


def text_of(source: bytes) -> str | None:
    """The text of an RTF document; None for what is none."""
    document = source.decode("latin-1")
    if not document.lstrip().startswith("{\\rtf"):
        return None
    codec = _codec(document)
    out: list[str] = []
    stack = [_Group(hidden=False, unicode=1)]
    for match in _TOKEN.finditer(document):
        if match[5] == "{":
            stack.append(_Group(hidden=stack[-1].hidden, unicode=stack[-1].unicode))
        elif match[5] == "}":
            stack = stack[:-1] or [_Group(hidden=True, unicode=1)]
        else:
            _read(match, stack[-1], out, codec)
    return "".join(out)


def _codec(document: str) -> str:
    found = re.search(r"\\ansicpg(\d{3,5})", document[:1000])
    codec = f"cp{found[1]}" if found else "cp1252"
    try:
        b"a".decode(codec)
    except LookupError:
        return "cp1252"
    return codec


def _read(match: re.Match[str], group: _Group, out: list[str], codec: str) -> None:
    word, number, byte, sign, _, plain = match.groups()
    if sign == "*" or word in _SILENT:
        group.hidden = True
    elif word == "uc":
        group.unicode = int(number or 1)
    elif not group.hidden:
        text = _shown(word, number, byte, sign, codec) if plain is None else plain
        if word == "u":
            group.skip = group.unicode
        elif group.skip and text:
            taken = min(group.skip, len(text))
            group.skip, text = group.skip - taken, text[taken:]
        out.append(text)


def _shown(word: str | None, number: str | None, byte: str | None, sign: str | None, codec: str) -> str:
    if byte:
        return bytes.fromhex(byte).decode(codec, "replace")
    if word == "u" and number:
        code = int(number) % 65_536
        return chr(code) if not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return _WORDS.get(word or "", "") if word else _SIGNS.get(sign or "", "")


def written(text: str) -> bytes:
    """A text as a plain RTF document."""
    body = "".join(map(_escaped, text.replace("\r\n", "\n")))
    return f"{{\\rtf1\\ansi\\ansicpg1252\\uc1\n{body}}}".encode("ascii")


def _escaped(letter: str) -> str:
    if letter in {"\\", "{", "}"}:
        return f"\\{letter}"
    if letter in {"\n", "\t"}:
        return "\\par\n" if letter == "\n" else "\\tab "
    if " " <= letter <= "~":
        return letter
    units = letter.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big", signed=True) for at in range(0, len(units), 2)]
    return "".join(f"\\u{code}?" for code in codes)


def cleaned_rtf(source: bytes, clean: Callable[[str], str]) -> bytes | None:
    """An RTF document with its text cleaned; None for what is no RTF."""
    text = text_of(source)
    return None if text is None else written(clean(text))
