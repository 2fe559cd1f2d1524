"""Modules of optional extras, loaded when something of them is first used.

They are large: loaded with the program they would double the start of every command and the memory of every server.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import Any

from medlock.errors import SetupError


class Extra:
    """Stands for a module; its attributes are the module's. Raises SetupError when the extra is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self._name = module
        self._extra = extra

    @cached_property
    def _module(self) -> Any:
        try:
            return import_module(self._name)
        except ImportError:
            package = self._name.partition(".")[0]
            msg = f"This needs {package}, which is not installed: pip install 'medlock[{self._extra}]'."
            raise SetupError(msg) from None

    def __reduce__(self) -> tuple[type[Extra], tuple[str, str]]:
        return Extra, (self._name, self._extra)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
