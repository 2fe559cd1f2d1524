"""Optional models by name: each lives in a module of its own that imports its library, loaded only when asked for."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from importlib.metadata import PackageNotFoundError

from medlock.deid.text.redactor import Detector
from medlock.errors import SetupError


class Model(StrEnum):
    """What can be asked for beside rules and tagger; the name of the extra is the same."""

    SPACY = "spacy"
    RAMPART = "rampart"


def load_model(model: Model) -> Detector:
    """The detector. Raises SetupError, with the command that mends it, when library or weights are not installed."""
    try:
        detector: Detector = import_module(f"medlock.deid.text.{model}_model").load()
    except (ModuleNotFoundError, PackageNotFoundError, OSError) as error:
        raise SetupError(f"The {model} model is not installed: run pip install 'medlock[{model}]'.") from error
    return detector
