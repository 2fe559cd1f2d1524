"""The same sentences with other people in them: the tagger is to learn company and form, not whom a corpus names."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator

from text_corpora import Document, Gold

from medlock.deid.text.lexicon import Mark, entries
from medlock.deid.text.spans import Kind

MONTHS = "January February March April May June July August September October November December".split()
FACILITIES = (
    "{last} Hospital|{last} Clinic|{city} Medical Center|{city} General|{city} General Hospital|St. {first}'s|"
    "St. {first}'s Hospital|"
    "{city} Clinic|{last} Memorial Hospital|{last} Memorial|University of {city} Hospital|{city} Children's Hospital|"
    "{last} Health|"
    "{city} Health|{last} Institute|{city} Heart Institute|Mercy {city}|{last} Med Ctr|"
    "{city} Regional Medical Center|{city} VA|"
    "Mt. {last}|{city} {last}|{last} Creek Clinic|{city} Cancer Center|{last}-{last2}|{last} Family Practice|{abbr}|"
    "{abbr} Medical Center|"
    "{city}|{city}, {state}|{city}, {region}|our {city} clinic|{city} office|{number} {last} Street, {city}|"
    "{number} {last} Ave|{city} City"
).split("|")
STATES = "AL AZ CA CO FL GA IL IN KY LA MA MD MI MN MO NC NJ NV NY OH OR PA TN TX UT VA WA WI".split()


class Swapper:
    """Makes other values of the same kinds; everything comes from the lexicon and one seeded generator."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
        listed = {
            mark: [word.title() for word in entries(mark)] for mark in (Mark.FIRST, Mark.LAST, Mark.CITY, Mark.REGION)
        }
        self._first, self._last = listed[Mark.FIRST], listed[Mark.LAST]
        self._usual = [word.title() for word in entries(Mark.USUAL_FIRST)]
        self._usual_last = [word.title() for word in entries(Mark.USUAL_LAST)]
        self._city, self._region = listed[Mark.CITY], listed[Mark.REGION]
        self._make: dict[Kind, Callable[[str], str]] = {
            Kind.NAME: self._name,
            Kind.PLACE: self._place,
            Kind.HOSPITAL: self._place,
            Kind.DATE: self._date,
        }

    def swap(self, documents: Iterable[Document], share: float = 0.8) -> Iterator[Document]:
        """Each document with most of its identifiers replaced by others of their kind."""
        for document in documents:
            text, gold, at = "", [], 0
            for item in sorted(document.gold, key=lambda each: each.start):
                if item.start < at:
                    continue
                text += document.text[at : item.start]
                old = document.text[item.start : item.end]
                new = self._make.get(item.kind, self._code)(old) if self._rng.random() < share else old
                gold.append(Gold(len(text), len(text) + len(new), item.kind, item.label))
                text, at = text + new, item.end
            yield Document(document.name, text + document.text[at:], tuple(gold))

    def _name(self, old: str) -> str:
        rng = self._rng
        title = re.match(r"(?:Dr|Mr|Mrs|Ms)\.?\s", old)
        first = rng.choice(self._usual if rng.random() < 0.5 else self._first)
        last = rng.choice(self._usual_last if rng.random() < 0.5 else self._last)
        if re.search(r"\b[A-Z]\.?$", old):
            made = f"{first} {rng.choice('ABCDEFGHIJKLMNOPRSTVWZ')}."
        elif " " in old[title.end() if title else 0 :]:
            made = rng.choice(
                [f"{first} {last}"] * 6
                + [f"{first} {last}-{rng.choice(self._last)}", f"{first} {last[0]}. {last}", f"{first[0]}. {last}"]
            )
        else:
            made = last if title or rng.random() < 0.4 else first
        return (title[0] if title else "") + made

    def _place(self, old: str) -> str:
        rng = self._rng
        values = {
            "first": rng.choice(self._usual),
            "last": rng.choice(self._usual_last if rng.random() < 0.5 else self._last),
            "last2": rng.choice(self._last),
            "city": rng.choice(self._city),
            "state": rng.choice(STATES),
            "region": rng.choice(self._region),
            "abbr": "".join(rng.choice("ABCDHLMNPSUVW") for _ in range(rng.randint(3, 5))),
            "number": str(rng.randrange(1, 9999)),
        }
        return rng.choice(FACILITIES).format(**values) if old[0].isupper() else old

    def _date(self, old: str) -> str:
        if not re.search(r"\d", old):
            return old
        rng = self._rng
        year, month, day = rng.randrange(1940, 2026), rng.randrange(1, 13), rng.randrange(1, 29)
        name, suffix = MONTHS[month - 1], rng.choice(["", "th"])
        forms = [
            f"{month}/{day}/{year}",
            f"{month:02d}/{day:02d}/{year % 100:02d}",
            f"{year}-{month:02d}-{day:02d}",
            f"{name} {day}{suffix}",
        ]
        return rng.choice(
            [
                *forms,
                *[f"{name} {day}{suffix}, {year}"] * 3,
                f"{name[:3]} {day} {year}",
                f"{day} {name} {year}",
                f"{name} {year}",
            ]
        )

    def _code(self, old: str) -> str:
        """Digits and letters exchanged, the form kept."""
        rng = self._rng
        if "@" in old:
            first, last, host = rng.choice(self._usual), rng.choice(self._last), rng.choice(self._last)
            return f"{first}{rng.choice(['.', '_', ''])}{last}@{host}.com".lower()
        return "".join(
            rng.choice("0123456789")
            if each.isdigit()
            else rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ")
            if each.isupper()
            else each
            for each in old
        )
