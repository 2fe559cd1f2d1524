"""The keystore and the primitives alone: microseconds per operation and keys per second. JSON on stdout.

    python benchmarks/keystore.py [keys]

The best of five runs is taken for what costs microseconds, the median of five for what is bound by the disk.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from medlock.crypto.aead import Aead
from medlock.crypto.kdf import argon2id, derive
from medlock.crypto.mask import HeaderMask
from medlock.crypto.prf import Prf, ValueHash
from medlock.store.kek.passphrase import PassphraseFile
from medlock.store.keyring import PatientKeys
from medlock.store.keystore import Keystore

KEY, AAD, NONCE, NAME = bytes(32), bytes(24), bytes(12), b"Observation/123e4567-e89b-12d3-a456-426614174000"
BODY = bytes(2048)
RUNS = 5


def fastest(act: Callable[[], object], calls: int = 20_000) -> float:
    """Microseconds a call, the best run."""
    return round(min(_seconds(act, calls) for _ in range(RUNS)) / calls * 1e6, 3)


def rate(act: Callable[[], object], things: int) -> int:
    """Things a second, the median run."""
    return round(things / statistics.median(_seconds(act, 1) for _ in range(RUNS)))


def primitives() -> dict[str, float]:
    """What the hot path is made of."""
    aead, prf, values, mask = Aead(KEY), Prf(KEY), ValueHash(KEY), HeaderMask(KEY)
    blob, sealed = aead.seal(BODY, AAD), aead.seal_with(NONCE, BODY, AAD)
    return {
        "seal 2 kB": fastest(lambda: aead.seal(BODY, AAD)),
        "open 2 kB": fastest(lambda: aead.open(blob, AAD)),
        "open_with 2 kB": fastest(lambda: aead.open_with(NONCE, sealed, AAD)),
        "Aead()": fastest(lambda: Aead(KEY)),
        "Prf.label": fastest(lambda: prf.label(NAME)),
        "ValueHash.of": fastest(lambda: values.of(NAME)),
        "HeaderMask.reveal": fastest(lambda: mask.reveal(NONCE, KEY[:16])),
        "derive": fastest(lambda: derive(KEY, "medlock/1/patient/body")),
        "first body of PatientKeys": fastest(lambda: PatientKeys(1, 0, KEY).body),
        "Argon2id 64 MiB, 3 passes": fastest(lambda: argon2id(KEY, NONCE * 2), calls=1),
    }


def keystore_figures(keystore: Keystore, count: int) -> dict[str, float]:
    """What the keystore adds, with `count` keys in it."""
    slots = [keys.slot for keys in keystore.allot(count)]
    some = iter(slots * RUNS)
    victims = iter(slots)

    def miss() -> None:
        slot = next(some)
        keystore.forget(slot)
        keystore.keys(slot)

    held = slots[-1]
    keystore.keys(held)
    return {
        "keys, cached (us)": fastest(lambda: keystore.keys(held)),
        "keys, from the file (us)": fastest(miss, calls=min(5_000, count)),
        "refresh, nothing new (us)": fastest(keystore.refresh),
        "allot one by one, fsync shared by 64 (us)": fastest(keystore.allot, calls=1_280),
        "destroy and scrub (us)": fastest(lambda: keystore.destroy(next(victims)), calls=20),
        "every key once (keys/s)": rate(lambda: sum(1 for _ in keystore.every()), count),
        "verify (keys/s)": rate(lambda: list(keystore.verify()), count),
        "ratchet (keys/s)": rate(keystore.ratchet, count),
    }


def _seconds(act: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        act()
    return time.perf_counter() - started


def main() -> None:
    """Measure in a temporary directory."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "passphrase").write_text("a passphrase for measuring\n", encoding="utf-8")
        (root / "data").mkdir()
        keystore = Keystore.create(root / "data/keystore.db", PassphraseFile(root / "passphrase", root / "data"))
        figures = {"primitives (us)": primitives(), f"keystore of {count} keys": keystore_figures(keystore, count)}
        keystore.close()
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
