"""Backups beside a server, what they cost, and a million keys wrapped anew.

Latencies come from a client that sends 200 requests a second whatever happens: four reads of a Patient to one new
Observation. Quiet rounds and rounds during which one full backup follows on another alternate; medians are compared.
A backup has a session of its own, as under cron or a timer: Linux shares the processor among sessions first.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from corpus import Corpus
from http_reads import fetch_patients
from machine import CLIENT_CORE, SERVER_CORE, pinned
from servers import Bench, Server
from steady import steady
from verdict import measure

from medlock.store.kek.passphrase import PassphraseFile
from medlock.store.keystore import Keystore

RATE = 200
_MEDLOCK = Path(sys.executable).with_name("medlock")
_KEYS = 100_000  # allotted at once


def backup_measures(bench: Bench, corpus: Corpus, *, rounds: int, keys: int, seconds: float) -> list[dict[str, Any]]:
    """p99 during backups ÷ quiet; the time of a restore drill; `keys` keys re-wrapped, told for a million."""
    data_dir = bench.fresh("backed-up")
    with bench.medlock(data_dir) as server:
        bench.ask(server, [server.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        requests = _requests(server, fetch_patients(server))
        quiet, during, made = [], [], []
        for _ in range(rounds):
            with pinned(CLIENT_CORE):
                quiet.append(steady(server, requests, RATE, seconds))
            with _Backups(bench, data_dir) as backups, pinned(CLIENT_CORE):
                during.append(steady(server, requests, RATE, seconds))
            made += backups.made
        drill = _json("backup", "drill", made[-1]["shelf"], "--data-dir", str(data_dir))
    ratio = statistics.median(each["p99_ms"] for each in during) / statistics.median(each["p99_ms"] for each in quiet)
    rewrapped = _rewrapped(bench, keys)
    return [
        measure("backup_p99", ratio, quiet=quiet, during=during, backups=made, drill=drill),
        measure("keys_rewrap_million", rewrapped["cpu_seconds"] * 1_000_000 / keys, **rewrapped),
    ]


def _requests(server: Server, patients: list[str]) -> list[bytes]:
    """Four reads to a write."""
    found = []
    for each in patients[:50]:
        kilos = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{each}"},
        }
        found += [server.get(f"Patient/{each}")] * 4
        found.append(server.post("Observation", json.dumps(kilos).encode()))
    return found


class _Backups:
    """One full backup after another, as an operator makes them, for as long as the block lasts."""

    def __init__(self, bench: Bench, data_dir: Path) -> None:
        self._bench = bench
        self._data_dir = data_dir
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.made: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            shelf = str(self._bench.fresh("shelf"))
            told = _json("backup", "create", shelf, "--data-dir", str(self._data_dir))
            self.made.append({name: told[name] for name in ("rows", "bytes", "seconds")} | {"shelf": shelf})


def _json(*words: str) -> dict[str, Any]:
    """What a command says for programs."""
    command = [str(_MEDLOCK), *words, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _rewrapped(bench: Bench, count: int) -> dict[str, Any]:
    """A ratchet over so many keys on one core, by the clock and by the processor; its progress counted."""
    directory = bench.fresh("keys")
    directory.mkdir()
    (directory / "passphrase").write_text("a passphrase for a benchmark\n")
    keystore = Keystore.create(directory / "keystore.db", PassphraseFile(directory / "passphrase", directory))
    for _ in range(0, count, _KEYS):
        keystore.allot(min(_KEYS, count))
    told: list[int] = []
    with pinned(SERVER_CORE):
        began, cpu = time.perf_counter(), time.process_time()
        keystore.ratchet(lambda done, _total: told.append(done))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
    keystore.close()
    return {"keys": count, "seconds": seconds, "cpu_seconds": used, "told": len(told)}
