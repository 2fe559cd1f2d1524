"""Households and the people in them: who lives together, how they are related, and what they are called.

A household is drawn whole from its own stream of choices, so household 7 is the same whether ten patients are
asked for or ten thousand (only the last household may be cut short to meet the number).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count

from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.heritages import Heritage
from medlock.fhir.clinic.names import Name, draw_family, draw_heritage, draw_name
from medlock.fhir.clinic.places import Home, draw_home, draw_mail, draw_mobile
from medlock.fhir.clinic.terms import age_on, years_before


@dataclass(frozen=True, slots=True)
class Person:
    """One patient as the world knows them. `sex` is the one assigned at birth and decides biology."""

    number: int
    name: Name
    sex: str
    gender: str
    born: date
    died: date | None
    heritage: Heritage
    mobile: str
    mail: str
    twin: int = 0

    @property
    def id(self) -> str:
        """Logical id of the Patient."""
        return f"demo-{self.number:05d}"

    @property
    def ref(self) -> str:
        """Literal reference to the Patient."""
        return f"Patient/{self.id}"

    @property
    def female(self) -> bool:
        """Whether the body is female."""
        return self.sex == "female"

    def age(self, day: date) -> int:
        """Age in completed years."""
        return age_on(day, self.born)


@dataclass(frozen=True, slots=True)
class Bond:
    """`adult` looks after `ward`; `role` is the v3-RoleCode of what the adult is to the ward."""

    ward: Person
    adult: Person
    role: str


@dataclass(slots=True)
class Household:
    """People under one roof."""

    number: int
    kind: str
    home: Home
    people: list[Person] = field(default_factory=list)
    bonds: list[Bond] = field(default_factory=list)

    def children_of(self, mother: Person) -> list[Person]:
        """The children that this woman bore."""
        return [bond.ward for bond in self.bonds if bond.adult is mother and bond.role == "NMTH"]


# How households of this town are made up, in proportion.
_KINDS = (("single", 22), ("couple", 16), ("family", 30), ("lone", 10), ("elders", 12), ("three", 6), ("flat", 4))


class _Maker:
    """Draws one household; `room` is how many patients may still be made."""

    def __init__(self, chance: Chance, first: int, room: int, today: date) -> None:
        self.chance, self.today, self.room = chance, today, room
        self.numbers = count(first)
        self.heritage = draw_heritage(chance)
        self.given = set[str]()
        self.family = draw_family(chance, self.heritage)
        self.house = Household(first, chance.weighted(_KINDS), draw_home(chance))

    def person(self, sex: str, youngest: int, oldest: int, *, family: str | None = None, twin: int = 0) -> Person:
        years = self.chance.between(youngest, oldest)
        return self.born(sex, years_before(self.today, years) - timedelta(self.chance.between(1, 364)), family, twin)

    def born(self, sex: str, day: date, family: str | None = None, twin: int = 0) -> Person:
        chance, number = self.chance, next(self.numbers)
        shared = self.family if family is None else family
        name = draw_name(chance, self.heritage, sex, age_on(self.today, day), shared, taken=self.given)
        self.given.add(name.given[0])
        gender = chance.pick(("other", "unknown")) if chance.happens(0.015) else sex
        mobile = draw_mobile(chance, self.house.home.town.area)
        mail = draw_mail(chance, name.given[0], name.family, number)
        made = Person(number, name, sex, gender, day, self._death(day), self.heritage, mobile, mail, twin)
        if len(self.house.people) < self.room:
            self.house.people.append(made)
        return made

    def _death(self, born: date) -> date | None:
        age = age_on(self.today, born)
        if age < 66 or not self.chance.happens((age - 60) * 0.006):
            return None
        return self.today - timedelta(days=self.chance.between(20, 900))

    def bind(self, ward: Person, adult: Person, role: str) -> None:
        if ward in self.house.people and adult in self.house.people:
            self.house.bonds.append(Bond(ward, adult, role))


def draw_household(seed: int, number: int, first: int, room: int, today: date) -> Household:
    """Household `number`, its people counted from `first`, never more than `room` of them."""
    maker = _Maker(Chance(seed, "household", number), first, room, today)
    _FILL[maker.house.kind](maker)
    return maker.house


def _single(maker: _Maker) -> None:
    maker.person(maker.chance.pick(("female", "male")), 19, 88)


def _couple(maker: _Maker) -> None:
    chance = maker.chance
    youngest = chance.between(20, 62)
    other = "female" if chance.happens(0.08) else "male"
    maker.person("female", youngest, youngest + 5)
    maker.person(other, youngest, youngest + 7, family=_partner_family(maker))


def _partner_family(maker: _Maker) -> str | None:
    return draw_family(maker.chance, maker.heritage) if maker.chance.happens(0.25) else None


def _elders(maker: _Maker) -> None:
    wife = maker.person("female", 66, 92)
    husband = maker.person("male", 66, 94)
    if maker.chance.happens(0.4):
        maker.bind(husband, wife, "SPS")


def _family(maker: _Maker) -> None:
    mother = maker.person("female", 22, 46)
    age = mother.age(maker.today)
    father = maker.person("male", age + 1, age + 8, family=_partner_family(maker))
    for child in _children(maker, mother):
        maker.bind(child, mother, "NMTH")
        maker.bind(child, father, "NFTH")


def _lone(maker: _Maker) -> None:
    mother = maker.person("female", 20, 47)
    for child in _children(maker, mother):
        maker.bind(child, mother, "NMTH")


def _three(maker: _Maker) -> None:
    _family(maker)
    grandmother = maker.person("female", 64, 84)
    carer = maker.house.people[0]
    maker.bind(grandmother, carer, "CHILD")


def _flat(maker: _Maker) -> None:
    for _ in range(maker.chance.between(2, 4)):
        maker.heritage = draw_heritage(maker.chance)
        family = draw_family(maker.chance, maker.heritage)
        maker.person(maker.chance.pick(("female", "male")), 18, 31, family=family)


def _children(maker: _Maker, mother: Person) -> list[Person]:
    """Children born when their mother was 18 to 42, at least a year and a half apart; a few of them twins."""
    chance, children = maker.chance, list[Person]()
    soonest = max(0, mother.age(maker.today) - 41) * 366
    day = maker.today - timedelta(days=soonest + chance.between(4, 400 if chance.happens(0.4) else 4000))
    for _ in range(chance.weighted(((1, 4), (2, 5), (3, 2), (4, 1)))):
        if not 18 <= age_on(day, mother.born) <= 42:
            break
        twins = chance.happens(0.04)
        for order in (1, 2) if twins else (0,):
            children.append(maker.born(chance.pick(("female", "male")), day, twin=order))
        day -= timedelta(days=chance.between(550, 1700))
    return children


_FILL = {
    "single": _single,
    "couple": _couple,
    "elders": _elders,
    "family": _family,
    "lone": _lone,
    "three": _three,
    "flat": _flat,
}
