"""Mutations: of an address, of parameters, of headers, of JSON as a tree, and of bytes.

Most keep a request that a parser gets through, so that what lies behind the parser is asked too.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from acceptance.fuzz_request import Asked
from acceptance.fuzz_seeds import Seeds
from acceptance.fuzz_words import COMMON, HEADERS, NAMES, NODES, TEXTS

Json = dict[str, Any]
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "xx", "GT")
MODIFIERS = (
    "missing",
    "exact",
    "contains",
    "not",
    "text",
    "in",
    "not-in",
    "above",
    "below",
    "of-type",
    "identifier",
    "iterate",
    "Patient",
    "x",
    "",
    "text-advanced",
)
BOMBS = (
    b"[" * 20_000,
    b'{"a":' * 5_000,
    b"[" * 900 + b"]" * 900,
    b'{"resourceType":"Patient","id":' + b"9" * 50_000 + b"}",
)


class Mutator:
    """Changes requests by a source of chance."""

    def __init__(self, seeds: Seeds, rng: random.Random) -> None:
        self.seeds = seeds
        self.rng = rng

    def mutate(self, asked: Asked) -> Asked:
        """None to four changes; those of bytes come last, for they end the structure."""
        for _ in range(self.rng.choices((0, 1, 2, 3, 4), (8, 45, 25, 14, 8))[0]):
            self.rng.choice(self._ways(asked))(asked)
        if self.rng.random() < 0.1:
            self.rng.choice((self.body_bytes, self.address_bytes))(asked)
        return asked

    def _ways(self, asked: Asked) -> list[Callable[[Asked], None]]:
        ways = [self.headers, self.path]
        if asked.params:
            ways += [self.value, self.prefix, self.name, self.repeat, self.common, self.value]
        if isinstance(asked.body, (dict, list)):
            ways += [self.node, self.node, self.key, self.tree, self.text, self.entry]
        return ways

    # Parameters

    def _at(self, asked: Asked) -> int:
        return self.rng.randrange(len(asked.params))

    def value(self, asked: Asked) -> None:
        """A nasty value, alone or beside the former one."""
        at, nasty = self._at(asked), self.rng.choice(TEXTS)
        name, value = asked.params[at]
        asked.params[at] = (
            name,
            self.rng.choice(
                (nasty, value + nasty, nasty + value, f"{value},{nasty}", f"{value}|{nasty}", f"{value}${nasty}")
            ),
        )

    def prefix(self, asked: Asked) -> None:
        """A comparator, fitting or not."""
        at = self._at(asked)
        name, value = asked.params[at]
        asked.params[at] = name, self.rng.choice(PREFIXES) + value

    def name(self, asked: Asked) -> None:
        """Another name, a modifier, a chain, nested _has."""
        at, other = self._at(asked), self.rng.choice(self.seeds.world.types)
        name, value = asked.params[at]
        back = self.rng.choice(self.seeds.world.params[other])[0]
        has = "".join(
            f"_has:{other}:{self.rng.choice((back, 'patient', 'subject'))}:" for _ in range(self.rng.randrange(1, 6))
        )
        chain = ".".join(
            [name]
            + [self.rng.choice((back, "subject", "patient:Patient", "name")) for _ in range(self.rng.randrange(1, 5))]
        )
        new = (
            f"{name}:{self.rng.choice(MODIFIERS)}",
            has + name,
            chain,
            self.rng.choice(NAMES),
            name.upper(),
            self.rng.choice(TEXTS),
            f"{name}:{other}.{back}",
        )
        asked.params[at] = self.rng.choice(new), value

    def repeat(self, asked: Asked) -> None:
        """The same again, often, or one less."""
        at = self._at(asked)
        if self.rng.random() < 0.3:
            del asked.params[at]
        else:
            asked.params += [asked.params[at]] * self.rng.choice((1, 1, 2, 40))

    def common(self, asked: Asked) -> None:
        """One more parameter, its holes filled with anything."""
        name, value = self.rng.choice(COMMON)
        for hole in ("{type}", "{other}", "{param}", "{back}", "{id}"):
            word = self.rng.choice((*self.seeds.world.types, "code", "subject", "patient", "date", "*", ""))
            name, value = name.replace(hole, word), value.replace(hole, word)
        asked.params.append((name, value))

    # Address and headers

    def path(self, asked: Asked) -> None:
        """A segment that does not belong there, one more, one less; another method."""
        parts = asked.path.split("/")
        nasty = self.rng.choice(
            (
                self.rng.choice(TEXTS[:60]).encode("utf-8", "replace").decode(),
                self.seeds.id_of(self.rng.choice(self.seeds.world.types)),
                self.rng.choice(self.seeds.world.types),
            )
        )
        at = self.rng.randrange(1, len(parts))
        way = self.rng.randrange(5)
        if way == 0:
            asked.method = self.rng.choice(
                ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "SEARCH")
            )
        elif way == 1:
            parts.insert(at, nasty)
        else:
            parts[at:] = [nasty, *parts[at + 1 :]] if at > 1 or way == 2 else [*parts[at:], nasty]
        asked.path = "/".join(parts)

    def headers(self, asked: Asked) -> None:
        """A header that matters, with a good or a bad value."""
        name, value = self.rng.choice(HEADERS)
        if self.rng.random() < 0.1:
            value = self.rng.choice(TEXTS).replace("\r", "").replace("\n", "")
        if self.rng.random() < 0.1:
            asked.headers.append((name, value))
        asked.set(name, value)

    def address_bytes(self, asked: Asked) -> None:
        """Bytes in the address that no encoder would make."""
        target = bytearray(asked.address())
        for _ in range(self.rng.randrange(1, 4)):
            at = self.rng.randrange(1, len(target) + 1)
            target[at:at] = self.rng.choice(
                (
                    b"%",
                    b"%0",
                    b"%c3%28",
                    b"%00",
                    b"%ff",
                    b"+",
                    b"&&",
                    b"=",
                    b"%2f",
                    b"%3f",
                    b"\xc3\xa9",
                    b"\xff",
                    b";",
                    b"%ed%a0%80",
                    b"?",
                    b"#",
                    b"%u0041",
                )
            )
        asked.target = bytes(target)

    # JSON

    def _spots(self, tree: Any) -> Iterator[tuple[Any, Any]]:
        """Every container with a key or index in it."""
        pairs = (
            list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
        )
        for key, below in pairs:
            yield tree, key
            yield from self._spots(below)

    def _spot(self, asked: Asked) -> tuple[Any, Any] | None:
        spots = list(self._spots(asked.body))
        return self.rng.choice(spots) if spots else None

    def node(self, asked: Asked) -> None:
        """A value of another type, size or depth."""
        if spot := self._spot(asked):
            spot[0][spot[1]] = self._node(spot[0][spot[1]])

    def _node(self, former: Any) -> Any:
        way = self.rng.randrange(4)
        if way == 0 and not isinstance(former, bool):
            deep = former
            for _ in range(self.rng.choice((1, 1, 3, 60))):
                deep = [deep] if self.rng.random() < 0.5 else {"extension": [deep]}
            return deep
        if way == 1:
            return self.rng.choice(TEXTS)
        if way == 2 and isinstance(former, list) and former:
            return former * self.rng.choice((2, 2, 30))
        return copy.deepcopy(self.rng.choice(NODES))

    def text(self, asked: Asked) -> None:
        """Something nasty at the end or the beginning of a text that was good."""
        spots = [(box, key) for box, key in self._spots(asked.body) if isinstance(box[key], str)]
        if spots:
            box, key = self.rng.choice(spots)
            box[key] = self.rng.choice((box[key] + self.rng.choice(TEXTS), self.rng.choice(TEXTS) + box[key]))

    def key(self, asked: Asked) -> None:
        """A member that is missing, unknown, or called something else."""
        boxes = [asked.body, *(box[key] for box, key in self._spots(asked.body))]
        box = self.rng.choice([each for each in boxes if isinstance(each, dict)] or [{}])
        if box and self.rng.random() < 0.6:
            former = self.rng.choice(list(box))
            value = box.pop(former)
            if self.rng.random() < 0.5:
                box[self.rng.choice((self.rng.choice(NAMES), f"_{former}", former.upper(), f"{former}X"))] = value
        else:
            box[self.rng.choice(NAMES)] = copy.deepcopy(self.rng.choice(NODES))

    def tree(self, asked: Asked) -> None:
        """A subtree where another one was."""
        one, two = self._spot(asked), self._spot(asked)
        if one and two and one[1] not in {"name", "url"}:  # names are told in errors, values never
            one[0][one[1]] = copy.deepcopy(two[0][two[1]])

    def entry(self, asked: Asked) -> None:
        """An entry of a bundle asks for something else; references point within, outside, or to the other patient."""
        requests = [box[key] for box, key in self._spots(asked.body) if key == "request" and isinstance(box[key], dict)]
        references = [box for box, key in self._spots(asked.body) if key == "reference"]
        if requests:
            draw = self.seeds.draw()
            target = draw.address().decode("latin-1")
            name, value = self.rng.choice((
                ("url", target), ("url", target.removeprefix("/fhir/")), ("url", self.rng.choice(TEXTS)), ("method", draw.method), ("method", self.rng.choice(TEXTS)),
                ("ifMatch", 'W/"1"'), ("ifMatch", self.rng.choice(TEXTS)), ("ifNoneExist", self.rng.choice(TEXTS)), ("ifNoneMatch", "*"), ("ifModifiedSince", self.rng.choice(TEXTS)),
            ))  # fmt: skip
            self.rng.choice(requests)[name] = value
        elif references:
            self.rng.choice(references)["reference"] = self.rng.choice(
                (f"Patient/{self.seeds.world.other}", "#c", "#", "urn:uuid:x", "Patient?_id=a", self.rng.choice(TEXTS))
            )

    # Bytes of a body

    def body_bytes(self, asked: Asked) -> None:
        """What no encoder of JSON would make."""
        whole = asked.content() or b"{}"
        at = self.rng.randrange(len(whole))
        quarter = max(1, len(whole) // 4)
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: whole[:at],
            lambda: whole[:at] + self.rng.randbytes(2) + whole[at:],
            lambda: b"\xef\xbb\xbf" + whole,
            lambda: whole.decode("utf-8", "replace").encode("utf-16"),
            lambda: whole.replace(b"{", b'{"resourceType":"Patient",', 1),
            lambda: whole.replace(b"{", b'{"id":"a","id":"b",', 2),
            lambda: whole + whole[:quarter],
            lambda: whole.replace(b'"', b'"\xff', 3),
            lambda: whole.replace(b'": "', b'": "\\ud800', 2),
            lambda: whole.replace(b": ", b": -", 2),
            lambda: self.rng.choice(BOMBS),
            lambda: gzip.compress(whole)[: -self.rng.randrange(1, 12)],
            lambda: gzip.compress(b" " * 30_000_000),
            lambda: json.dumps(json.dumps(asked.body, default=str)).encode(),
        )
        asked.raw = self.rng.choice(ways)()
        if asked.raw[:2] == b"\x1f\x8b":
            asked.set("content-encoding", "gzip")
