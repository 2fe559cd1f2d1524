"""Invisible restriction (EHDS art. 8): who is not shown something cannot tell that there is something.

Time is compared by the benchmark `invisible` (docs/benchmarks.md); here it is every byte that comes back: of 5,000 pairs
with MEDLOCK_THOROUGH=1, else of a fifth.
"""

import os
import re

import orjson

from web.invisible import FIRST, SECOND, invisible, pairs

PATIENTS, ROUNDS = 6, 15 if os.environ.get("MEDLOCK_THOROUGH") else 3
INSTANT = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+\-]\d\d:\d\d)")
PAGE = re.compile(rb"(?<=page=)[A-Za-z0-9_\-.~]+")
PASSING = {"date", "last-modified", "x-request-id", "traceparent"}


def alike(answers):
    """Answers without what differs between any two: times, names of requests, what seals a page's place.

    What was written together comes in an order that hangs on ids: so entries are compared as a set over all pages, and
    lengths where there is one page.
    """
    pages, entries = [], []
    for each in answers:
        body = PAGE.sub(b"*", INSTANT.sub(b"@", each.body))
        body = re.sub(rb"(?:(?<![A-Za-z0-9])|(?<=%7C))" + SECOND.encode() + rb"(?=\d{4})", FIRST.encode(), body)
        found = sorted_out(orjson.loads(body)) if body else {}
        own = found.pop("entry", [])
        entries += own
        headers = {name: value for name, value in each.headers.items() if name not in PASSING}
        size = headers.pop("content-length", None) if len(answers) == 1 else headers.pop("content-length") and None
        pages.append((each.status, headers, size, len(own), orjson.dumps(found)))
    return pages, sorted(map(orjson.dumps, entries))


def sorted_out(node):
    """The same with entries of search results in an order of their own."""
    if isinstance(node, list):
        return [sorted_out(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: sorted_out(value) for name, value in node.items()}
    if found.get("type") == "searchset" and "entry" in found:
        found["entry"].sort(key=orjson.dumps)
    return found


async def test_pairs_are_alike(tmp_path):
    """Status, headers, length and body: of who hides a part and of who has none, of who hides all and of nobody."""
    seen, shown = 0, set()
    async with invisible(tmp_path, PATIENTS) as site:
        for who, pair in [*pairs(PATIENTS)] * ROUNDS:
            first, second = [alike(await site.answers(who, each)) for each in (pair.first, pair.second)]
            assert first == second, (who, pair.first)
            seen += 1
            shown |= {pair.kind} if first[1] else set()
    assert seen >= (5_000 if ROUNDS == 15 else 1_000)
    assert len(shown) > 15, "most questions have something to show beside what is hidden"


async def test_a_word_too_many_would_be_found(tmp_path):
    """The comparison is not blind: who may see what is hidden gets other answers for the two."""
    async with invisible(tmp_path, 1) as site:
        differing = 0
        for who, pair in pairs(1):
            asked = {"dr": "bob", "bob": "dr"}[who]
            if "5000" not in pair.first.target:
                continue
            first, second = [alike(await site.answers(asked, each)) for each in (pair.first, pair.second)]
            differing += first != second
        assert differing > 10
