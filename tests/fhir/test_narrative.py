"""Narrative: what is safe to show passes, everything else is refused (txt-1), and so is nothing (txt-2)."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir.vectors import load
from medlock.fhir.narrative import DEPTH_MAX, ELEMENTS, XHTML, problems_of

VECTORS = load("narrative")
OPEN = f'<div xmlns="{XHTML}">'
PIECES = ["<b>", "</b>", "<a href='", "'>", "</a>", "<p", ">", " on", "load='x'", "javascript:", "<!--", "-->", "x"]
PIECES += ["<![CDATA[", "]]>", "&lt;", "&#106;", "<script>", "</script>", " style='", "url(", "/>", '"', "<img src='"]


@pytest.mark.parametrize("div", VECTORS["good"])
def test_safe_narrative_is_accepted(div):
    """Formatting, tables, lists, links and local images are what narrative is for."""
    assert problems_of(div) == []


@pytest.mark.parametrize("div", VECTORS["txt-1"])
def test_unsafe_narrative_is_refused(div):
    """Script in any disguise, loading from elsewhere, entities and foreign markup break txt-1."""
    assert any(sentence.startswith("txt-1: ") for sentence in problems_of(div))


@pytest.mark.parametrize("div", VECTORS["txt-2"])
def test_empty_narrative_is_refused(div):
    """White space and empty elements say nothing."""
    assert [sentence[:6] for sentence in problems_of(div)] == ["txt-2:"]


def test_nesting_has_a_limit():
    """A narrative that would exhaust a browser's stack is refused."""
    inner = DEPTH_MAX - 1
    assert problems_of(OPEN + "<b>" * inner + "x" + "</b>" * inner + "</div>") == []
    assert "nested" in problems_of(OPEN + "<b>" * DEPTH_MAX + "x" + "</b>" * DEPTH_MAX + "</div>")[0]


def test_entities_do_not_expand():
    """A declaration that would expand to ten billion letters costs no time."""
    declared = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
    started = time.perf_counter()
    assert problems_of(f'<!DOCTYPE d [<!ENTITY a0 "a">{declared}]>{OPEN}&a10;</div>')
    assert time.perf_counter() - started < 5


def test_long_attributes_cost_little():
    """The patterns for styles and addresses do not backtrack."""
    started = time.perf_counter()
    for value in ("a" * 500_000, ";a:" * 100_000, "a:" + " " * 300_000 + "(", "rgb(" * 100_000):
        problems_of(f'{OPEN}<p style="{value}">x</p><a href="{value}">x</a></div>')
    assert time.perf_counter() - started < 5


class Browser(HTMLParser):
    """Reads markup as HTML, which is how a portal may end up showing it, and notes what could run."""

    def __init__(self):
        super().__init__()
        self.dangers = []

    def handle_starttag(self, tag, attrs):
        self.dangers += [tag] if tag not in ELEMENTS else []
        for key, value in attrs:
            text = "".join((value or "").split()).lower()
            if key.startswith("on") or "javascript:" in text or (key == "style" and "url(" in text):
                self.dangers.append(key)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_accepted_is_harmless_to_an_html_parser(content):
    """Whatever passes as XML has nothing that runs when another parser reads it as HTML."""
    div = f"{OPEN}{content}</div>"
    if not problems_of(div):
        browser = Browser()
        browser.feed(div)
        assert browser.dangers == []


@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text):
    """No text makes the checker raise."""
    for div in (text, f"{OPEN}{text}</div>", f'{OPEN}<a href="{text}" style="{text}">x</a></div>'):
        assert all(sentence.startswith("txt-") for sentence in problems_of(div))
