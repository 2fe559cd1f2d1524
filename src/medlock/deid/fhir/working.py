"""One run of `medlock deid fhir`: files in, a release out."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from medlock.deid.fhir.cleaners import cleaner_of
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.diff import Change, changes
from medlock.deid.fhir.keyfile import read_key, replace_file
from medlock.deid.fhir.microsoft import RuleEngine, from_rules
from medlock.deid.fhir.options import Options, offsets_of
from medlock.deid.fhir.provenance import TARGETS_MAX, provenance, with_provenance
from medlock.deid.fhir.register import Register
from medlock.deid.fhir.release import Release, release
from medlock.deid.fhir.rules import RuleSet, read_rules
from medlock.deid.fhir.sources import Source, sources
from medlock.deid.fhir.tally import Tally, each_resource
from medlock.deid.fhir.vault import Vault
from medlock.deid.fhir.vault import read as read_vault
from medlock.deid.fhir.whose import patient_of, patients_in
from medlock.errors import SetupError

Json = dict[str, Any]
Progress = Callable[[int], None]


class Work:
    """What was asked for, made ready. Raises SetupError, BadRequest before anything is read or written."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.files = sources(options.files.source)
        self.tally = Tally()
        self._key = read_key(options.files.key) if options.files.key else os.urandom(32)
        self._rules = _read_rules(options.files.rules) if options.files.rules else None
        self._vault = self._open_vault()
        self._engine = self._deidentifier()
        self._targets: list[str] = []

    def _deidentifier(self) -> Deidentifier:
        offsets = offsets_of(self.options.files.offsets) if self.options.files.offsets else {}
        cleaner = cleaner_of(self.options.prose, self.options.models)
        register = Register(self.files) if cleaner else Register()
        return Deidentifier(self.options.profile, self._key, cleaner, offsets, register.record)

    def _open_vault(self) -> Vault | None:
        if self.options.files.vault is None:
            return None
        if self.options.files.key is None:
            raise SetupError("A vault belongs to a project; name its key with --key-file.")
        try:
            data = self.options.files.vault.read_bytes()
        except OSError:
            raise SetupError("The vault cannot be read; make one with medlock deid vault.") from None
        return read_vault(data, Deidentifier(self.options.profile, self._key).pseudonyms)

    def results(self) -> Iterator[tuple[Source, Json, Json]]:
        """Each file's resources before and after, in order."""
        with _without_collector():
            for source in self.files:
                engine = self._rule_engine(source)
                for resource in source.resources():
                    after = self._applied(engine, resource)
                    self.tally.add(resource, after)
                    yield source, resource, after
                self.tally.files += 1

    def _rule_engine(self, source: Source) -> RuleEngine | None:
        """The rules of a file, whose dates may move by the name of the file or of the folder."""
        if self._rules is None:
            return None
        scope = self._rules.parameters.date_shift_scope.lower()
        root = self.options.files.source if self.options.files.source.is_dir() else self.options.files.source.parent
        prefix = {"file": source.path.name, "folder": root.resolve().name}.get(scope, "")
        return from_rules(self._rules, self._key, prefix=prefix, strict=self.options.strict)

    def _applied(self, engine: RuleEngine | None, resource: Json) -> Json:
        if engine is None:
            self._remember(resource)
            return self._engine.apply(resource, self.options.as_of)
        after, unruled = engine.counted(resource, self.options.as_of)
        self.tally.unruled += unruled
        return after

    def _remember(self, resource: Json) -> None:
        """Seal in the vault who is behind each pseudonym of a patient."""
        if self._vault is None:
            return
        known = patients_in(resource)
        patients = {patient_of(each, known) for each in each_resource(resource)} | set(known.values())
        for patient in sorted(patients - {""}):
            self._vault.add(self._engine.pseudonyms.id(patient), patient, self._engine.days(patient))

    def run(self, progress: Progress) -> None:
        """Write the release, all of it or nothing."""
        if self.options.files.target is None:
            raise SetupError("Name where the output goes with --out, or look first with --dry-run.")
        with release(self.options.files.target) as out:
            self._write(out, progress)
            self._write_provenance(out)
            if self._vault is not None and self.options.files.vault is not None:
                replace_file(self.options.files.vault, self._vault.write())

    def _write(self, out: Release, progress: Progress) -> None:
        with ExitStack() as stack:
            current, file = None, None
            for source, _, after in self.results():
                if source is not current:
                    stack.close()
                    current, file = source, stack.enter_context(out.file(source))
                    progress(source.number)
                if file is not None:
                    out.write(file, self._marked(after))

    def _marked(self, after: Json) -> Json:
        """With Provenance: inside a Bundle, and beside everything else."""
        if self._rules is not None:
            return after
        if after.get("resourceType") == "Bundle":
            return with_provenance(after, self.options.profile, self.options.at)
        if "id" in after:
            self._targets.append(f"{after['resourceType']}/{after['id']}")
        return after

    def _write_provenance(self, out: Release) -> None:
        if not self._targets:
            return
        with out.named("Provenance-deid.ndjson") as file:
            for number, at in enumerate(range(0, len(self._targets), TARGETS_MAX), 1):
                targets = self._targets[at : at + TARGETS_MAX]
                out.write(file, provenance(targets, self.options.profile, self.options.at, number=number))

    def look(self) -> Iterator[tuple[str, list[Change]]]:
        """Without writing: what would change, for the first resources of each type."""
        shown: dict[str, int] = {}
        for _, before, after in self.results():
            for old, new in _pairs(before, after):
                kind = old["resourceType"]
                shown[kind] = shown.get(kind, 0) + 1
                if shown[kind] <= self.options.limit:
                    yield kind, list(changes(old, new, kind))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Without the cyclic garbage collector: trees of JSON hold no cycles, and looking for some takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _pairs(before: Json, after: Json) -> Iterator[tuple[Json, Json]]:
    if before.get("resourceType") != "Bundle":
        yield before, after
        return
    for old, new in zip(before.get("entry", []), after.get("entry", []), strict=False):
        if "resource" in old and "resource" in new and old["resource"].get("resourceType"):
            yield old["resource"], new["resource"]


def _read_rules(path: Path) -> RuleSet:
    try:
        return read_rules(path.read_bytes())
    except OSError:
        raise SetupError("The rule file cannot be read; name a file that exists.") from None
