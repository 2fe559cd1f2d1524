"""Commands in this process, as the console script runs them: arguments in; exit code, stdout and stderr out."""

import json
import os
import sys
from dataclasses import dataclass

import pytest

from medlock.cli import main


@dataclass
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Its result for programs."""
        return json.loads(self.out)


class Terminal:
    """One operator with a passphrase and a data directory."""

    def __init__(self, directory, monkeypatch, capfd):
        self.directory = directory / "data"
        self.passphrase = directory / "passphrase"
        self.passphrase.write_text("correct horse battery staple\n")
        self.passphrase.chmod(0o600)
        self._monkeypatch, self._capfd = monkeypatch, capfd
        monkeypatch.setattr(os, "nice", lambda by: by)  # commands run in this process, which has other tests to run
        monkeypatch.setenv("MEDLOCK_DATA_DIR", str(self.directory))
        monkeypatch.setenv("MEDLOCK_PASSPHRASE_FILE", str(self.passphrase))

    def type(self, *arguments):
        """Run a command."""
        self._capfd.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["medlock", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = self._capfd.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)
