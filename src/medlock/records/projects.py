"""For whom the server de-identifies: one project, its key in a file of the operator's, and a preset for researchers.

The key never leaves this module but into an engine, and is read when the first engine is made. `$anonymize` has none:
its key is drawn for one export and forgotten with it, so that two of them cannot be joined and nobody can lead a
pseudonym back. It is lent by whoever keeps the export, to every worker that sends a file of it (`jobs.drawn_key`). An
engine lives as long as files of its export are being sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from medlock.access.grant import Grant
from medlock.deid.fhir.cleaners import Prose, cleaner_of
from medlock.deid.fhir.deidentify import Deidentifier
from medlock.deid.fhir.keyfile import read_key
from medlock.deid.fhir.presets import PRESETS
from medlock.deid.fhir.profile import Profile
from medlock.deid.fhir.pseudonyms import KEY_BYTES
from medlock.deid.fhir.text import TextCleaner
from medlock.errors import BadRequest, Denied, NotFound, Problem, SetupError
from medlock.fhir.options import ExportOptions
from medlock.fhir.question import Interaction, Question

_NO_PROJECT: Final = (
    "This server holds no project's key, so it pseudonymises for nobody: the operator names one in "
    "MEDLOCK_DEID_KEY_FILE. $anonymize needs none."
)


@dataclass
class Projects:
    """The engines of running exports. `preset` is what researchers get; None for a key file: no project.

    `prose` says what becomes of notes; `turn` orders the pieces whose prose is read, which takes a thread.
    """

    key_file: Path | None = None
    preset: str = "safe-harbor"
    prose: str = Prose.DROP.value
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _engines: dict[str, Deidentifier] = field(default_factory=dict, repr=False)
    _drawn: dict[str, bytes] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Return when the settings can be kept to. Raises SetupError."""
        if self.preset not in PRESETS:
            raise SetupError(f"MEDLOCK_DEID_PRESET is one of {', '.join(sorted(PRESETS))}.")
        if self.prose not in {each.value for each in Prose}:
            raise SetupError(f"MEDLOCK_DEID_TEXT is one of {', '.join(Prose)}.")
        if self.key_file is not None:
            read_key(self.key_file)

    def settled(self, grant: Grant, asked: Question) -> Question:
        """The question with the preset that its output gets, so that the log tells it. Raises Denied, BadRequest.

        Who may have nothing but de-identified output gets the server's preset, or what $anonymize makes.
        """
        if not grant.deidentified or not isinstance(asked.options, ExportOptions):
            return asked
        preset = asked.options.preset or self.preset
        anonymous = asked.interaction is Interaction.ANONYMIZE
        if grant.studies and not anonymous and preset != self.preset:
            raise Denied(f"researchers get the preset {self.preset} here, not {preset}")
        if self.key_file is None and not anonymous:
            raise BadRequest(_NO_PROJECT, problems=(Problem("not-supported", _NO_PROJECT),))
        text = f"{asked.options.text}&_deid={preset}".removeprefix("&")
        return msgspec.structs.replace(asked, options=msgspec.structs.replace(asked.options, preset=preset, text=text))

    def profile(self, question: Question) -> Profile:
        """The preset of a settled question."""
        if not isinstance(question.options, ExportOptions) or question.options.preset not in PRESETS:
            raise BadRequest("This export names no preset.")
        return PRESETS[question.options.preset]

    def engine(self, job: str, question: Question) -> Deidentifier:
        """The engine of an export. Raises NotFound for none that is named, SetupError for a key that is gone."""
        if not job:
            raise NotFound("There is no such export.")
        if job not in self._engines:
            key = self._key(job, question.interaction)
            self._engines[job] = Deidentifier(self.profile(question), key, self._cleaner)
        return self._engines[job]

    @cached_property
    def _cleaner(self) -> TextCleaner | None:
        """What reads prose, loaded when it is first needed; None drops it."""
        return cleaner_of(Prose(self.prose), ())

    def _key(self, job: str, interaction: Interaction) -> bytes:
        if interaction is not Interaction.ANONYMIZE and self.key_file is not None:
            return read_key(self.key_file)
        if job not in self._drawn:
            raise NotFound("There is no such export.", reason="no key was drawn for it")
        return self._drawn[job]

    def lend(self, job: str, drawn: bytes) -> None:
        """The key that was drawn for an export, KEY_BYTES random bytes; it is used where there is no project's."""
        self._drawn[job] = drawn[:KEY_BYTES]

    def end(self, job: str) -> None:
        """An export is over: its engine goes, and a key that was drawn for it."""
        self._engines.pop(job, None)
        self._drawn.pop(job, None)
