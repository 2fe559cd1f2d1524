"""A small linear model of our own: for every token the likeliest kind, from what stands around it.

Multinomial logistic regression over hashed features (features.py), trained by scripts/text_train.py on corpora whose
licences allow a derived model (named in the data file and in docs/deid/text.md). Weights are eight-bit integers; a
text is tagged by array lookups alone. What is tagged is decided by a bias towards finding: a token counts as an
identifier when its likelihood of being none falls below a threshold that was chosen by cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from medlock.deid.text.features import SIZE, rows
from medlock.deid.text.spans import Kind, Span
from medlock.deid.text.tokens import Tokens, tokenise

LANGUAGES = ("en", "es")
_BATCH = 1 << 14  # tokens scored at once, so that memory stays flat however long the text


@dataclass(frozen=True)
class Tagger:
    """A trained model: kinds (the first is "none"), integer weights and their scale, and the bias towards finding."""

    kinds: tuple[Kind | None, ...]
    weights: NDArray[np.int8]
    scale: float
    bias: float
    about: str

    def find(self, text: str) -> Iterator[Span]:
        """Spans of neighbouring tokens of one kind. Confidence is the mean likelihood of being an identifier."""
        tokens = tokenise(text)
        if not tokens.words:
            return
        chances = self._chances(tokens)
        best = np.where(chances[:, 0] < 1 / (1 + np.exp(-self.bias)), chances[:, 1:].argmax(1) + 1, 0)
        yield from _spans(text, tokens, [self.kinds[each] for each in best], 1 - chances[:, 0])

    def _chances(self, tokens: Tokens) -> NDArray[np.float32]:
        features = rows(tokens)
        out = np.empty((len(features), len(self.kinds)), np.float32)
        for begin in range(0, len(features), _BATCH):
            part = features[begin : begin + _BATCH]
            total = np.zeros((len(part), len(self.kinds)), np.int32)
            for column in range(part.shape[1]):
                total += self.weights[part[:, column]]
            scores = total * np.float32(self.scale)
            powers = np.exp(scores - scores.max(1, keepdims=True))
            out[begin : begin + _BATCH] = powers / powers.sum(1, keepdims=True)
        return out


def _spans(text: str, tokens: Tokens, kinds: list[Kind | None], chances: NDArray[np.float32]) -> Iterator[Span]:
    at, count = 0, len(kinds)
    while at < count:
        kind, stop = kinds[at], at + 1
        while stop < count and kinds[stop] is kind and not tokens.breaks[stop]:
            stop += 1
        if kind is not None:
            start, end = int(tokens.starts[at]), int(tokens.ends[stop - 1])
            sure = 0.75 * float(chances[at:stop].mean())
            yield Span(start, end, kind, sure, "model:medlock", text[start:end])
        at = stop


def pack(tagger: Tagger) -> bytes:
    """The model as a file: a line of JSON, then the rows that hold anything, then these rows' weights."""
    used = np.flatnonzero(tagger.weights.any(1)).astype("<u4")
    head = {
        "kinds": [kind or "" for kind in tagger.kinds],
        "scale": tagger.scale,
        "bias": tagger.bias,
        "rows": len(used),
        "about": tagger.about,
    }
    body = (
        orjson.dumps(head) + b"\n" + np.diff(used, prepend=0).astype("<u4").tobytes() + tagger.weights[used].tobytes()
    )
    return zstandard.ZstdCompressor(level=19).compress(body)


def unpack(packed: bytes) -> Tagger:
    """The model of a file that `pack` made."""
    head, _, body = zstandard.decompress(packed).partition(b"\n")
    about = orjson.loads(head)
    kinds = tuple(Kind(kind) if kind else None for kind in about["kinds"])
    used = np.cumsum(np.frombuffer(body, "<u4", about["rows"]))
    weights = np.zeros((SIZE, len(kinds)), np.int8)
    weights[used] = np.frombuffer(body, np.int8, offset=4 * about["rows"]).reshape(-1, len(kinds))
    return Tagger(kinds, weights, about["scale"], about["bias"], about["about"])


@cache
def shipped(language: str) -> Tagger:
    """The model that comes with medlock for "en" or "es"."""
    return unpack(files("medlock.deid.text").joinpath("data", f"model-{language}.zst").read_bytes())
