"""Safety of Narrative.div (FHIR R4 §2.4.1, invariants txt-1 and txt-2).

A browser will show this text inside somebody's portal, so it is checked as code, not as prose: one `div` in
the XHTML namespace, well-formed XML, and only elements and attributes from lists. What is not on a list is
refused, so scripts, forms, frames, objects, event attributes and other namespaces need no rule of their own.
Document types, entities, instructions, comments and CDATA are refused because an HTML parser reads some of
them otherwise than an XML parser does. Links may lead to http(s), mailto, tel or a relative address; images
and styles may load nothing from elsewhere, since that would tell a stranger who reads.

`problems_of` returns sentences; nothing here raises. The parser is expat, which knows no entity by itself.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

XHTML: Final = "http://www.w3.org/1999/xhtml"
DEPTH_MAX: Final = 64


def _names(*lines: str) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.split())


# HTML 4.01 chapters 7 to 11 and 15 without §9.4, plus a, img, map and area: what txt-1 lists.
ELEMENTS: Final = _names(
    "div span p br hr h1 h2 h3 h4 h5 h6 address blockquote pre a img map area",
    "em strong dfn code samp kbd var cite abbr acronym q sub sup tt i b big small bdo",
    "ul ol li dl dt dd table caption thead tfoot tbody colgroup col tr th td",
)
_EVERYWHERE: Final = _names("id class style title lang xml:lang dir")
_CELL: Final = _names("align char charoff valign abbr axis headers scope rowspan colspan width height nowrap bgcolor")
_GROUP: Final = _names("span width align char charoff valign bgcolor")
_ATTRIBUTES: Final = dict.fromkeys(_names("caption thead tfoot tbody colgroup col tr div p"), _GROUP) | {
    "a": _names("href name hreflang rel rev charset type accesskey tabindex"),
    "img": _names("src alt name height width usemap ismap align border hspace vspace"),
    "map": _names("name"),
    "area": _names("shape coords href nohref alt tabindex accesskey"),
    "table": _names("summary width border frame rules cellspacing cellpadding align bgcolor"),
    "th": _CELL,
    "td": _CELL,
    "ul": _names("type compact"),
    "ol": _names("type start compact"),
    "li": _names("type value"),
    "q": _names("cite"),
    "blockquote": _names("cite"),
    "hr": _names("align noshade size width"),
    "br": _names("clear"),
    "pre": _names("width"),
}

# A browser strips white space and control characters out of an address, so none is let in anywhere.
_RELATIVE: Final = r"(?![A-Za-z][A-Za-z0-9+.-]*:|//)[^\x00-\x20\x7f\\]*"
_is_link = re.compile(rf"(?i:https?:|mailto:|tel:)[^\x00-\x20\x7f\\]*|{_RELATIVE}").fullmatch
_is_image = re.compile(rf"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=]+|{_RELATIVE}").fullmatch
_TESTS: Final = {"href": _is_link, "cite": _is_link, "usemap": _is_link, "src": _is_image}

# One declaration of a style: no functions but rgb(), no addresses, no escapes, and nothing that leaves its place.
_color = re.compile(r"rgba?\([0-9\s.,%]*\)")
_is_declaration = re.compile(r"\s*(?:(?!position\b)[a-z-]+\s*:[\w\s#%.,!'\"+-]*)?").fullmatch

_ELEMENT: Final = "txt-1: the narrative has an element that R4 does not allow"
_ATTRIBUTE: Final = "txt-1: the narrative has an attribute that R4 does not allow there"
_STYLE: Final = "txt-1: a style in the narrative does more than R4 or this server allows"
_ADDRESS: Final = "txt-1: an address in the narrative leads where R4 or this server does not allow"
_ROOT: Final = f"txt-1: the narrative must be one div in the namespace {XHTML}"
_DEPTH: Final = f"txt-1: the narrative is nested deeper than {DEPTH_MAX} elements"
_MARKUP: Final = "txt-1: the narrative may hold no declaration, entity, instruction, comment or CDATA"
_FORM: Final = "txt-1: the narrative must be well-formed XHTML without named entities"
_EMPTY: Final = "txt-2: the narrative must have some content that is not white space"


class _Checker:
    """Collects what is wrong while expat walks the text."""

    __slots__ = ("depth", "problems", "says_something")

    def __init__(self) -> None:
        self.problems: dict[str, None] = {}
        self.depth = 0
        self.says_something = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0 and (name != "div" or attributes.pop("xmlns", "") != XHTML):
            self.problems[_ROOT] = None
        self.depth += 1
        if self.depth > DEPTH_MAX:
            self.problems[_DEPTH] = None
        if name not in ELEMENTS:
            self.problems[_ELEMENT] = None
        self.says_something |= name == "img"
        for key, value in attributes.items():
            self.attribute(name, key, value)

    def attribute(self, element: str, key: str, value: str) -> None:
        if key not in _EVERYWHERE and key not in _ATTRIBUTES.get(element, ()):
            self.problems[_ATTRIBUTE] = None
        elif key == "style" and not all(map(_is_declaration, _color.sub("", value.lower()).split(";"))):
            self.problems[_STYLE] = None
        elif key in _TESTS and _TESTS[key](value) is None:
            self.problems[_ADDRESS] = None

    def end(self, _name: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        self.says_something = self.says_something or not text.isspace()

    def refuse(self, *_details: object) -> None:
        self.problems[_MARKUP] = None


def problems_of(div: str) -> list[str]:
    """One sentence for each rule that the text of Narrative.div breaks; empty when it is safe to show."""
    checker = _Checker()
    try:
        _parser(checker).Parse(div, True)  # noqa: FBT003 - expat takes its arguments by position only
    except expat.ExpatError:
        checker.problems[_FORM] = None
    if not checker.problems and not checker.says_something:
        checker.problems[_EMPTY] = None
    return list(checker.problems)


def _parser(checker: _Checker) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = checker.start
    parser.EndElementHandler = checker.end
    parser.CharacterDataHandler = checker.text
    parser.XmlDeclHandler = checker.refuse
    parser.StartDoctypeDeclHandler = checker.refuse
    parser.ProcessingInstructionHandler = checker.refuse
    parser.CommentHandler = checker.refuse
    parser.StartCdataSectionHandler = checker.refuse
    return parser
