"""People with their identifiers, and every way in which a note may spell one of them."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from medlock.deid.text.known import Known
from medlock.deid.text.lexicon import Mark, entries, fold

MONTHS = "January February March April May June July August September October November December".split()
MESES = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ACCENTS = str.maketrans("aeioun", "áéíóúñ")
LASTS = (
    "O'Brien",
    "Smith-Jones",
    "De la Cruz",
    "van der Berg",
    "Núñez",
    "Müller",
    "St. John",
    "McDonald",
    "García Márquez",
    "Łukasz",
    "Wu",
    "Lee",
)


@dataclass(frozen=True)
class Rendered:
    """One spelling of one known identifier, as a piece of text around it begins and ends."""

    field: str
    value: str
    before: str
    after: str


class People:
    """Seeded people; the names come from the lists of the lexicon, the rest is made."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._first = [word.title() for word in entries(Mark.FIRST) if len(word) > 2 and word.isalpha()]
        self._last = [word.title() for word in entries(Mark.LAST) if len(word) > 2 and word.isalpha()]

    def person(self) -> Known:
        """One person's record: two names (one of a relative), a birth date, two numbers, an address, phone, e-mail."""
        rng = self.rng
        last = rng.choice(LASTS) if rng.random() < 0.15 else rng.choice(self._last)
        first, middle = rng.choice(self._first), rng.choice(self._first)
        name = f"{first} {middle} {last}" if rng.random() < 0.4 else f"{first} {last}"
        born = date(1920, 1, 1) + timedelta(days=rng.randrange(36_000))
        numbers = (
            f"{rng.randrange(10**6, 10**8)}",
            f"{rng.choice('ABHMS')}{rng.choice('KLPX')}-{rng.randrange(10**5, 10**7)}",
        )
        street = (
            f"{rng.randrange(10, 9999)} {rng.choice(self._last)} {rng.choice(['Street', 'Avenue', 'Lane', 'Road'])}"
        )
        address = (
            f"{street}, {rng.choice(self._last)}ville, {rng.choice(['MA', 'TX', 'OH'])} {rng.randrange(10_000, 99_999)}"
        )
        phone = f"{rng.randrange(201, 989)}-{rng.randrange(200, 999)}-{rng.randrange(1000, 9999)}"
        mail = f"{fold(first)}.{fold(last).replace(' ', '')}{rng.randrange(99)}@example.com".replace("'", "")
        relative = f"{rng.choice(self._first)} {last}"
        return Known((name, relative), (born.isoformat(),), numbers, (address,), (phone,), (mail,))


def typo(rng: random.Random, word: str) -> str:
    """One letter wrong, missing, too many, or two exchanged; never the first of a capitalised word's case."""
    at = rng.randrange(len(word))
    letter = rng.choice(LETTERS)
    made = rng.choice(
        [
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at else letter + word,
        ]
    )
    return made[0].upper() + made[1:].lower() if word[0].isupper() and not word[1:2].isupper() else made


def _cased(rng: random.Random, text: str) -> str:
    return rng.choice([text, text, text.upper(), text.lower(), text.title()])


def _accented(rng: random.Random, text: str) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return fold(text).title()
    return text.translate(ACCENTS) if kind == 1 else text


def _whole(rng: random.Random, parts: list[str]) -> str:
    first, last = parts[0], " ".join(parts[1:])
    return rng.choice(
        [f"{first} {last}", f"{last}, {first}", f"{last} {first}", f"{first}  {last}", f"{first}\n{last}"]
    )


def _short(rng: random.Random, parts: list[str]) -> str:
    first, last = parts[0], " ".join(parts[1:])
    one, two = first[0], parts[-1][0]
    return rng.choice(
        [f"{one}. {last}", f"{first} {two}.", f"{one}.{two}.", f"{one}. {two}.", f"{last}, {one}.", f"{one} {last}"]
    )


def _slipped(rng: random.Random, parts: list[str]) -> str:
    slot = rng.randrange(len(parts))
    word = parts[slot]
    spelled = typo(rng, word) if len(word) > 3 and word.isalpha() else word
    return " ".join([*parts[:slot], spelled, *parts[slot + 1 :]])


def _alone(rng: random.Random, parts: list[str]) -> str:
    word = rng.choice([part for part in parts if part.isalpha() and part[0].isupper() and len(part) > 2] or parts[:1])
    spelled = typo(rng, word) if len(word) > 3 and rng.random() < 0.6 else word
    return rng.choice([spelled, f"{spelled}'s"]) if spelled == word else spelled


def _decomposed(rng: random.Random, parts: list[str]) -> str:
    return unicodedata.normalize(rng.choice(["NFC", "NFD"]), " ".join(parts).translate(ACCENTS))


def _glued(rng: random.Random, parts: list[str]) -> str:
    plain = [fold(part).replace("'", "").replace("-", "") for part in (parts[0], parts[-1])]
    return rng.choice([plain[0] + plain[1], plain[0][0] + plain[1]]) if len(plain[1]) > 3 else plain[0] + plain[1]


def name_spelling(rng: random.Random, name: str) -> str:
    """Order, initials, typo, accents, glued together, alone; case in any of them but initials and parts alone."""
    parts = name.split(" ", 1 if name.count(" ") == 1 else -1)
    way = rng.choice([_whole, _short, _slipped, _alone, _decomposed, _glued])
    spelled = way(rng, parts)
    return spelled if way in {_short, _alone, _glued} else _cased(rng, _accented(rng, spelled))


def date_spelling(rng: random.Random, iso: str) -> str:
    """A day in one of many formats, English and Spanish."""
    day = date.fromisoformat(iso)
    month, mes, year = MONTHS[day.month - 1], MESES[day.month - 1], day.year
    suffix = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return rng.choice(
        [
            *(iso, iso.replace("-", "/"), iso.replace("-", ""), f"{iso}T10:00:00Z"),
            *(
                f"{day.month}/{day.day}/{year}",
                f"{day.month:02d}/{day.day:02d}/{year}",
                f"{day.month}/{day.day}/{year % 100:02d}",
            ),
            *(
                f"{day.day}/{day.month}/{year}",
                f"{day.day:02d}.{day.month:02d}.{year}",
                f"{day.day}-{day.month}-{year}",
            ),
            *(
                f"{month} {day.day}, {year}",
                f"{month} {day.day}{suffix}, {year}",
                f"{month[:3]} {day.day} {year}",
                f"{month[:3]}. {day.day}, {year}",
            ),
            *(
                f"{day.day} {month} {year}",
                f"{day.day:02d}-{month[:3].upper()}-{year}",
                f"{day.day}{suffix} of {month} {year}",
            ),
            *(
                f"{month.upper()} {day.day} {year}",
                f"{month} {day.day}{suffix}",
                f"{day.day} de {mes} de {year}",
                f"{day.day} {mes} {year}",
            ),
            *(f"{month} {year}", f"{mes} de {year}", f"the {day.day}{suffix} of {month}, {year}"),
        ]
    )


def number_spelling(rng: random.Random, number: str) -> str:
    """Case, separators, or one character wrong."""
    plain = "".join(each for each in number if each.isalnum())
    way = rng.randrange(6)
    if way == 0:
        return number.lower()
    if way == 1:
        return plain
    if way == 2:
        return f"{plain[:3]}-{plain[3:]}"
    if way == 3:
        return f"{plain[:3]} {plain[3:6]} {plain[6:]}".strip()
    if way == 4 and len(plain) > 6:
        at = rng.randrange(2, len(plain))
        return rng.choice([plain[:at] + rng.choice("0123456789") + plain[at + 1 :], plain[:at] + plain[at + 1 :]])
    return number


def phone_spelling(rng: random.Random, phone: str) -> str:
    """The formats of North America, and one digit wrong."""
    area, middle, rest = phone.split("-")
    at = rng.randrange(4)
    wrong = rest[:at] + rng.choice("0123456789") + rest[at + 1 :]
    return rng.choice(
        [
            *(
                phone,
                f"({area}) {middle}-{rest}",
                f"{area}.{middle}.{rest}",
                f"{area} {middle} {rest}",
                f"+1 {area} {middle} {rest}",
            ),
            *(
                f"1-{area}-{middle}-{rest}",
                f"{area}{middle}{rest}",
                f"{middle}-{rest}",
                f"({area}){middle}{rest}",
                f"{area}-{middle}-{wrong}",
            ),
            *(f"+1{area}{middle}{rest}", f"{area}/{middle}-{rest}"),
        ]
    )


def mail_spelling(rng: random.Random, mail: str) -> str:
    """Case, spelled-out marks, or one letter wrong."""
    local, _, domain = mail.partition("@")
    return rng.choice(
        [
            mail,
            mail.upper(),
            mail.title(),
            f"{local} (at) {domain.replace('.', ' (dot) ')}",
            f"{typo(rng, local)}@{domain}",
            f"{local}@{domain}",
        ]
    )


def address_spelling(rng: random.Random, address: str) -> str:
    """The street, short or long, or city and post code; case; one typo in the street's name."""
    street, city, state_zip = address.split(", ")
    number, name, kind = street.split(" ", 2)
    short = {"Street": "St", "Avenue": "Ave", "Lane": "Ln", "Road": "Rd"}[kind]
    wrong = typo(rng, name) if len(name) > 4 else name
    return rng.choice(
        [
            *(
                address,
                street,
                street.upper(),
                street.lower(),
                f"{number} {name} {short}.",
                f"{city}, {state_zip}",
                city,
            ),
            *(f"{number} {wrong} {kind}", f"{street}\n{city} {state_zip}", f"{number} {name}"),
        ]
    )


SPELLINGS = {
    "names": name_spelling,
    "dates": date_spelling,
    "numbers": number_spelling,
    "addresses": address_spelling,
    "phones": phone_spelling,
    "emails": mail_spelling,
}
AROUND = (
    ("Seen today: ", ", who reports mild pain."),
    ("The chart says ", ". Plan unchanged."),
    ("Per ", " the dose was halved;"),
    ("(", ") was noted in triage."),
    ("as discussed with ", " last time,"),
    ("", "\nreviewed the results."),
)


def rendered(people: People, known: Known, count: int) -> Iterator[Rendered]:
    """So many spellings of this person's identifiers, each in its surroundings."""
    rng = people.rng
    for _ in range(count):
        field = rng.choices(tuple(SPELLINGS), weights=(10, 3, 3, 3, 2, 2))[0]
        value = SPELLINGS[field](rng, rng.choice(getattr(known, field)))
        yield Rendered(field, value, *rng.choice(AROUND))
