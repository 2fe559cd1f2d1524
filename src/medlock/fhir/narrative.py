"""Safety of Narrative.div (FHIR R4 §2.4.1, invariants txt-1 and txt-2).

A browser will show this text inside somebody's portal, so it is checked as code, not as prose: one `div` in
the XHTML namespace, well-formed XML, no document type, entity, processing instruction or comment, and only
elements and attributes from lists. What is not on a list is refused: script, form, frame, object, event
attributes and namespaces need no rule of their own. Links may lead to http(s), mailto, tel or inside the
document; images and styles may load nothing from elsewhere, since that would tell a stranger who reads.

`problems_of` returns sentences; nothing here raises. The parser is expat, without any entity support.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

XHTML: Final = "http://www.w3.org/1999/xhtml"

# HTML 4.01 chapters 7 to 11 and 15 without §9.4, plus a, img and map, as txt-1 lists them.
ELEMENTS: Final = frozenset(
    "div span p br hr h1 h2 h3 h4 h5 h6 address blockquote pre a img map area "
    "em strong dfn code samp kbd var cite abbr acronym q sub sup tt i b big small bdo "
    "ul ol li dl dt dd table caption thead tfoot tbody colgroup col tr th td".split()
)
_EVERYWHERE: Final = frozenset("id class style title lang xml:lang dir".split())
_CELL: Final = "align char charoff valign abbr axis headers scope rowspan colspan width height nowrap bgcolor"
_ATTRIBUTES: Final = {
    "a": frozenset("href name hreflang rel rev charset type accesskey tabindex".split()),
    "img": frozenset("src alt longdesc name height width usemap ismap align border hspace vspace".split()),
    "map": frozenset(["name"]),
    "area": frozenset("shape coords href nohref alt tabindex accesskey".split()),
    "table": frozenset("summary width border frame rules cellspacing cellpadding align bgcolor".split()),
    "th": frozenset(_CELL.split()),
    "td": frozenset(_CELL.split()),
    "ul": frozenset(["type", "compact"]),
    "ol": frozenset(["type", "start", "compact"]),
    "li": frozenset(["type", "value"]),
    "q": frozenset(["cite"]),
    "blockquote": frozenset(["cite"]),
    "hr": frozenset("align noshade size width".split()),
    "br": frozenset(["clear"]),
    "pre": frozenset(["width"]),
} | {
    name: frozenset("span width align char charoff valign bgcolor".split())
    for name in ("caption", "thead", "tfoot", "tbody", "colgroup", "col", "tr", "div", "p")
}
_ADDRESSES: Final = {"href", "src", "cite", "longdesc", "usemap"}

_is_link = re.compile(r"(?i)(?:https?:|mailto:|tel:|(?![a-z][a-z0-9+.-]*:)[^\x00-\x20\\]|$)").match
_is_image = re.compile(
    r"(?i)(?:#|data:image/(?:png|gif|jpeg|webp);base64,|(?![a-z][a-z0-9+.-]*:|//|\\|/\\)[^\x00-\x20])"
).match
_loads = re.compile(r"(?i)[\\@<]|url|expression|import|behaviou?r|binding|javascript|/\*").search


class _Checker:
    """Collects what is wrong while expat walks the text."""

    __slots__ = ("depth", "problems", "says_something")

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.depth = 0
        self.says_something = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0:
            self._root(name, attributes.pop("xmlns", ""))
        self.depth += 1
        if name not in ELEMENTS:
            self.problems.append("txt-1: the narrative has an element that R4 does not allow")
        self.says_something |= name == "img"
        for key, value in attributes.items():
            self._attribute(name, key, value)

    def _root(self, name: str, namespace: str) -> None:
        if name != "div" or namespace != XHTML:
            self.problems.append(f"txt-1: the narrative must be one div in the namespace {XHTML}")

    def _attribute(self, element: str, key: str, value: str) -> None:
        if key not in _EVERYWHERE and key not in _ATTRIBUTES.get(element, ()):
            self.problems.append("txt-1: the narrative has an attribute that R4 does not allow there")
        elif key == "style" and _loads(value):
            self.problems.append("txt-1: a style in the narrative may not load or run anything")
        elif key in _ADDRESSES and not self._is_safe_address(key, value):
            self.problems.append("txt-1: an address in the narrative leads where R4 or this server does not allow")

    @staticmethod
    def _is_safe_address(key: str, value: str) -> bool:
        test = _is_image if key == "src" else _is_link
        return test(value) is not None

    def end(self, _name: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        self.says_something = self.says_something or not text.isspace()

    def refuse(self, *_details: object) -> None:
        self.problems.append("txt-1: the narrative may not hold a document type, an instruction or a comment")


def problems_of(div: str) -> list[str]:
    """One sentence for each rule that the text of Narrative.div breaks; empty when it is safe to show."""
    checker = _Checker()
    try:
        _parser(checker).Parse(div, True)  # noqa: FBT003  expat takes its arguments by position only
    except expat.ExpatError:
        checker.problems.append("txt-1: the narrative must be well-formed XHTML without named entities")
    if not checker.says_something and not checker.problems:
        checker.problems.append("txt-2: the narrative must have some content that is not whitespace")
    return list(dict.fromkeys(checker.problems))


def _parser(checker: _Checker) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = checker.start
    parser.EndElementHandler = checker.end
    parser.CharacterDataHandler = checker.text
    parser.StartDoctypeDeclHandler = checker.refuse
    parser.ProcessingInstructionHandler = checker.refuse
    parser.CommentHandler = checker.refuse
    return parser
