"""Trains the taggers that ship with medlock: model-en.zst and model-es.zst in src/medlock/deid/text/data.

    python scripts/text_train.py [--data DIR]

English learns from ASQ-PHI's development half (as it is and with other people in it), presidio's synthetic sentences
and notes rendered from Synthea; Spanish from MEDDOCAN's train and dev parts. The figures that docs and benchmarks
give are never those of these models on these texts: benchmarks/deid_text_bench.py trains on one part and measures on
another. `threshold` was chosen by cross-validation there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from text_augment import Swapper
from text_corpora import DATA, Document, asq, meddocan, presidio
from text_notes import notes
from text_softmax import Softmax

from medlock.deid.text.features import rows
from medlock.deid.text.spans import Kind
from medlock.deid.text.tagger import Tagger, pack
from medlock.deid.text.tokens import tokenise

TARGET = Path(__file__).parents[1] / "src/medlock/deid/text/data"
EPOCHS = 6
BIAS = {"en": 1.0, "es": 4.0}
ABOUT = {
    "en": "trained on ASQ-PHI dev (MIT), presidio-research synth v2 (MIT), notes rendered from Synthea (Apache-2.0)",
    "es": "trained on MEDDOCAN train and dev (CC BY 4.0, Marimon et al., IberLEF 2019)",
}
# Kinds that look alike to the tagger are learned as one; the rules tell them apart.
JOINED = {Kind.SSN: Kind.ID, Kind.MRN: Kind.ID, Kind.PLAN: Kind.ID, Kind.ACCOUNT: Kind.ID, Kind.LICENCE: Kind.ID}
JOINED |= {Kind.FAX: Kind.PHONE}


def train(language: str, documents: Iterable[Document], epochs: int = EPOCHS, seed: int = 1) -> Tagger:
    """A tagger from annotated texts; the same texts and seed give the same tagger."""
    listed = list(documents)
    seen = {JOINED.get(item.kind, item.kind) for document in listed for item in document.gold}
    kinds: tuple[Kind | None, ...] = (None, *sorted(seen))
    examples = [_examples(document, kinds) for document in listed]
    model = Softmax(len(kinds)).fit(
        np.concatenate([part for part, _ in examples]), np.concatenate([wanted for _, wanted in examples]), epochs, seed
    )
    scale = float(np.abs(model.weights).max()) / 127
    weights = np.round(model.weights / scale).astype(np.int8)
    return Tagger(kinds, weights, scale, BIAS[language], ABOUT[language])


def _examples(document: Document, kinds: tuple[Kind | None, ...]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    tokens = tokenise(document.text)
    wanted = np.zeros(len(tokens.words), np.int64)
    for item in document.gold:
        inside = (tokens.starts < item.end) & (tokens.ends > item.start)
        wanted[inside] = kinds.index(JOINED.get(item.kind, item.kind))
    return rows(tokens), wanted


def english(queries: list[Document], data: Path, copies: int = 4) -> Iterable[Document]:
    """What the English tagger learns from, given which queries it may see."""
    yield from queries
    for copy in range(copies):
        yield from Swapper(copy).swap(queries)
    yield from _loud_and_quiet(Swapper(50).swap(queries))
    yield from presidio(data)
    rendered = [document for document in notes(data) if not document.held_out()]
    yield from rendered
    yield from Swapper(99).swap(rendered)
    yield from _loud_and_quiet(rendered[::2])


def _loud_and_quiet(documents: Iterable[Document]) -> Iterable[Document]:
    """Texts in capitals and in small letters by turns: some systems keep no other."""
    for number, document in enumerate(documents):
        text = document.text.upper() if number % 2 else document.text.lower()
        if len(text) == len(document.text):
            yield replace(document, text=text)


def main() -> None:
    """Train both and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data
    spanish = [*meddocan("train", data), *meddocan("dev", data)]
    for language, documents in (("en", english(list(asq(data)), data)), ("es", spanish)):
        packed = pack(train(language, documents))
        (TARGET / f"model-{language}.zst").write_bytes(packed)
        print(f"model-{language}.zst: {len(packed)} B")


if __name__ == "__main__":
    main()
