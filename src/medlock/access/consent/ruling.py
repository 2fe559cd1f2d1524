"""The consents of a patient as they stand for one request: what is left to decide is the resource.

Made in some microseconds and kept with the book for whoever asks the same; `decide` answers for each resource.

Matching has three values, but every rule leans to the safe side: what is unknown never satisfies a permit and always
satisfies a deny. So two values are enough, once it is known which kind of rule asks.

The tree (docs/consent.md §"Combination") comes down to three questions, since children override what stands above:
does some deny match with no matching permit inside it; else does some permit match; else is there a permit, for
this request, of other data than this.

Where consents let somebody see some data and not other, their text would say that there is something to hide: to such
a caller they are not shown (EHDS Art. 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from medlock.access.consent.book import Book
from medlock.access.consent.codes import BREAK_GLASS, RESEARCH, RESTRICTED, Labels, Purposes, sensitivities_above
from medlock.access.consent.model import Ask, Decision, Facts
from medlock.access.consent.policy import WRITING, Policy, default_permits
from medlock.fhir.dates import Interval
from medlock.fhir.values import MAX_MS, MIN_MS

_KEPT = 256
_ASKED = 64
_TELLING: Final = "Provenance"


class Site(msgspec.Struct, frozen=True):
    """What the operator decided.

    policy    what holds where no consent speaks
    purposes  the purposes of use that are known
    extended  whether consents may say what R4 knows and IHE PCF leaves out
    related   whether clinical roles need a treatment relationship (`access.relationship`)
    review_days  working days in which an emergency access is to be reviewed
    """

    policy: Policy = Policy.DENY
    purposes: Purposes = Purposes()
    extended: bool = False
    related: bool = False
    review_days: int = 2


PERMISSIVE: Final = Site(Policy.PERMIT_ALL)
"""The site's policy unless its operator says otherwise (docs/adr/0017)."""


def _tells_of_consents(facts: Facts) -> bool:
    """Whether it is a consent, or says where one came from and what it took the place of."""
    if facts.type != _TELLING:
        return facts.type == "Consent"
    return any(each.startswith("Consent/") for each in facts.references)


class Ruling:
    """One patient's consents for one request."""

    def __init__(self, book: Book, ask: Ask, site: Site) -> None:
        self.book = book
        self.ask = ask
        self.site = site
        self.own = book.patient in ask.own
        matched, possible = _request(book, ask, site.purposes)
        for bit, inside in book.gates:
            if not possible & bit:
                possible &= ~inside
        self.matched = matched & possible
        self.outside = possible & book.root_permits
        reads_them = ask.records_consents or ask.action in WRITING
        self._unspoken = 0 if reads_them else (self.matched | self.outside) & book.selective
        self._by_label: dict[Labels | None, int] = {}
        self._inside: dict[str, bool] = {}
        self._sealed: dict[tuple[str, Labels | None], bool] = {}
        self._spoken: tuple[str, ...] | None = None

    def decide(self, facts: Facts) -> Decision:
        """The decision for one resource, with what it rests on."""
        if self.own:
            return Decision(permit=True, layer="self")
        permit, layer, bits = self._answer(facts)
        return Decision(permit, layer, self.book.where(bits), self.book.sources(bits))

    @property
    def spoken(self) -> tuple[str, ...]:
        """The provisions that speak of this request, by consent and path."""
        if self._spoken is None:
            self._spoken = self.book.where(self.matched)
        return self._spoken

    def permits(self, facts: Facts) -> bool:
        """`decide` without the reasons."""
        return self.own or self._answer(facts)[0]

    def needs_body(self, type_: str) -> bool:
        """Whether anything but type and labels can matter for resources of a type."""
        found = self._inside.get(type_)
        if found is None:
            telling = bool(self._unspoken) and type_ == _TELLING
            found = self._inside[type_] = not self.own and (telling or bool(self.book.by_body & self._live(type_)))
        return found

    @property
    def looks_inside(self) -> bool:
        """Whether that is so of any type."""
        return not self.own and bool(self._unspoken or self.book.by_body & (self.matched | self.outside))

    def permits_sealed(self, type_: str, labels: Labels | None) -> bool:
        """`permits` from type and labels alone. Exact unless `needs_body`."""
        found = self._sealed.get((type_, labels))
        if found is None:
            if len(self._sealed) >= _KEPT:
                self._sealed.clear()
            found = self._sealed[type_, labels] = self.permits(Facts(type_, labels=labels))
        return found

    def _live(self, type_: str) -> int:
        """Provisions that can matter for a type: those that name a profile may."""
        book = self.book
        named = book.classes.hit((type_,)) | book.by_body & ~book.classes.absent
        return (self.matched | self.outside) & named

    def _answer(self, facts: Facts) -> tuple[bool, str, int]:
        """Yes or no, the layer, and the provisions that decided."""
        if self._unspoken and _tells_of_consents(facts):
            return False, "explicit", self._unspoken
        return self._decided(self._met(facts), facts.labels)

    def _decided(self, met: int, labels: Labels | None) -> tuple[bool, str, int]:
        """The same by the provisions that match."""
        book = self.book
        deciding = met & book.final_denies
        for bit, permits in book.overridable:
            if met & bit and not met & permits:
                deciding |= bit
        if deciding:
            return False, "explicit", deciding
        deciding = met & book.permits
        if deciding:
            return True, "explicit", deciding
        if self.outside:
            return False, "outside", self.outside
        return default_permits(self.site.policy, self.ask, labels, self.site.purposes), "default", 0

    def _met(self, facts: Facts) -> int:
        """The provisions that match request and resource."""
        book, found = self.book, self.matched
        if not found:
            return 0
        found &= book.classes.hit((facts.type, *facts.profiles)) if facts.profiles else book.classes.hit((facts.type,))
        found &= self._labels(facts.labels)
        if found & ~book.codes.absent:
            found &= _leaning(book, book.codes.hit(facts.codes), book.codes.hit(facts.any_codes | facts.codes))
        if found & ~book.undated:
            found &= _dated(book, facts, found)
        if found & ~book.data.absent:
            found &= _data(book, facts)
        return found

    def _labels(self, labels: Labels | None) -> int:
        found = self._by_label.get(labels)
        if found is None:
            if len(self._by_label) >= _KEPT:
                self._by_label.clear()
            found = self._by_label[labels] = _labelled(self.book, labels)
        return found


def ruled(book: Book, ask: Ask, site: Site) -> Ruling:
    """The ruling for a request; that of an earlier one which asked the same while the same provisions were in force."""
    asked = msgspec.structs.asdict(ask)  # all that an Ask says, whatever it will say one day
    asked["now"] = book.moment(ask.now)
    key = *asked.values(), site.policy
    found: Ruling | None = book.rulings.get(key)
    if found is None or found.site is not site:
        if len(book.rulings) >= _ASKED:
            book.rulings.clear()
        found = book.rulings[key] = Ruling(book, ask, site)
    return found


def _leaning(book: Book, permits: int, denies: int) -> int:
    """Permits out of the one, denies out of the other."""
    return (permits & book.permits) | (denies & book.denies)


def _request(book: Book, ask: Ask, purposes: Purposes) -> tuple[int, int]:
    """The provisions that the request satisfies, and those that it does not definitely fail."""
    now = book.all
    for period, whole in book.dated_roots:
        now &= book.all if _within(period, ask.now) else ~whole
    for period, bits in book.periods.items():
        now &= book.all if _within(period, ask.now) else ~bits
    now &= book.actors.hit(ask.actors) & book.actions.hit((ask.action,))
    opened, touched, sure = _purposes(ask, purposes)
    permits, denies = book.purposes.hit(opened), book.purposes.hit(touched)
    if RESEARCH not in opened:
        permits &= ~book.research
    if RESEARCH not in touched:
        denies &= ~book.research
    matched = _leaning(book, permits, denies if sure else book.all) & now
    return matched, matched if sure else now


def _within(period: Interval, now: int) -> bool:
    return period[0] <= now < period[1]


def _purposes(ask: Ask, known: Purposes) -> tuple[frozenset[str], frozenset[str], bool]:
    """The purposes whose permits the request may use, those whose denies touch it, and whether they are known.

    An emergency that the role may not declare opens nothing, and is denied what an emergency is denied.
    """
    declared = ask.purposes
    allowed = declared if ask.may_break_glass else declared - {BREAK_GLASS}
    none = frozenset[str]()
    opened = none.union(*(known.opened_by(each) for each in allowed))
    touched = none.union(*(known.above(each) for each in declared))
    return opened, touched, bool(declared) and all(map(known.known, declared))


def _labelled(book: Book, labels: Labels | None) -> int:
    """The provisions whose labels these meet: a permit's are a ceiling, a deny's a floor."""
    permits = denies = book.unlabelled
    for (levels, sensitivities), bits in book.labels.items():
        if labels is None:
            denies |= bits
            continue
        above = [sensitivities_above(each) for each in labels.sensitivities]
        covered = [not sensitivities.isdisjoint(each) for each in above]
        if labels.level <= max(levels, default=-1) or (labels.level == RESTRICTED and covered and all(covered)):
            permits |= bits
        if any(covered) or (levels and labels.level >= min(levels)):
            denies |= bits
    return _leaning(book, permits, denies)


def _dated(book: Book, facts: Facts, wanted: int) -> int:
    """The provisions whose time these data are of: a deny's also when they were changed in it, or nobody knows."""
    permits = denies = book.undated
    if facts.authored is None:
        denies = book.all
    written = None if facts.updated is None else (facts.updated, facts.updated + 1)
    when = facts.authored or written
    since, until = when or (MAX_MS, MIN_MS)
    changed = since if facts.updated is None else facts.updated
    for (low, high), bits in book.data_periods.items():
        if bits & wanted:
            if low <= since and until <= high and when:
                permits |= bits
            if (since < high and low < until) or low <= changed < high:
                denies |= bits
    return _leaning(book, permits, denies)


def _data(book: Book, facts: Facts) -> int:
    """The provisions whose data these are."""
    authors = facts.authors
    found = book.data.hit(_seen(facts, book))
    return _leaning(book, found, found | (book.authored if authors is None else 0))


def _seen(facts: Facts, book: Book) -> Iterable[tuple[str, str]]:
    yield "is", facts.reference
    for target in facts.references:
        yield "refers", target
    for source in book.pointing(facts.reference):
        yield "referred", source
    for author in facts.authors or ():
        yield "by", author
