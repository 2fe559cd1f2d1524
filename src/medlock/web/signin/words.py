"""Languages of the pages: gettext catalogues in the package, English as written in templates and code.

`locale/messages.pot` lists every sentence (scripts/messages.py makes it; a test sees that it is current). A translation
is `locale/<language>/LC_MESSAGES/messages.mo`; its language is then offered to browsers that prefer it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations, translation
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

SOURCE = "en"
DOMAIN = "messages"
_PLACE = Path(str(files("medlock.web.signin"))) / "locale"


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its tag, its templates, and how a sentence of the code is said in it."""

    language: str
    templates: Environment
    catalogue: NullTranslations

    def say(self, sentence: str) -> str:
        """A sentence in this language, or as it is."""
        return self.catalogue.gettext(sentence) if sentence else ""


@cache
def languages() -> frozenset[str]:
    """Tags of the languages that there are."""
    return frozenset({SOURCE} | {found.parts[-3] for found in _PLACE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")})


@cache
def words(language: str) -> Words:
    """A language that there is."""
    catalogue = translation(DOMAIN, str(_PLACE), [language], fallback=True)
    templates = Environment(
        loader=PackageLoader("medlock.web.signin"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined] # the extension's
    return Words(language, templates, catalogue)


def preferred(header: str) -> str:
    """The language of an Accept-Language header that we have (RFC 9110 §12.5.4); English when there is none."""
    asked = []
    for number, part in enumerate(header.split(",")[:20]):
        tag, _, more = part.strip().partition(";")
        weight = more.strip().removeprefix("q=")
        asked.append((-_weight(weight), number, tag.strip().lower().partition("-")[0]))
    return next((tag for _, _, tag in sorted(asked) if tag in languages()), SOURCE)


def _weight(text: str) -> float:
    """A quality; what cannot be read counts nothing."""
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
