"""The shipped compression dictionary: the recorded bytes, good on what it never saw, and empty of people."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import zstandard

from medlock.fhir.clinic import heritages, notes, places
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.validate import validate

_SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def training():
    """scripts/train_dictionary.py with its siblings importable."""
    sys.path.insert(0, str(_SCRIPTS))
    try:
        import train_dictionary  # noqa: PLC0415 - scripts are no package
    finally:
        sys.path.remove(str(_SCRIPTS))
    return train_dictionary


@pytest.fixture(scope="module")
def shipped(training) -> bytes:
    """The dictionary in the package."""
    return training.TARGET.read_bytes()


@pytest.fixture(scope="module")
def held_out(training) -> dict[str, list[bytes]]:
    """Samples that training did not see, by where they come from."""
    return training.held_out()


def test_the_shipped_file_is_the_recorded_one(training, shipped):
    """Rows sealed with this dictionary need it to the byte, so its digest, size and number are fixed."""
    assert training.digest([shipped]) == training.SHA256
    assert len(shipped) == training.SIZE
    assert zstandard.ZstdCompressionDict(shipped).dict_id() == training.ID


def test_training_again_gives_the_shipped_file(training, shipped):
    """The recorded corpus and libzstd make the recorded dictionary; a changed corpus is told apart from a bad file."""
    samples = training.corpus()
    if training.digest(samples) != training.CORPUS_SHA256:
        pytest.skip("the clinic has changed since the dictionary was trained")
    if zstandard.ZSTD_VERSION != training.LIBZSTD:
        pytest.skip("another libzstd than the one recorded")
    assert training.train(samples) == shipped


def test_a_clinic_it_never_saw_shrinks_four_times(training, shipped, held_out):
    """Another seed's resources, names and notes included, come out four times smaller or better."""
    with_it = training.measure(held_out["clinic"], shipped)
    without = training.measure(held_out["clinic"], None)
    assert with_it["ratio"] >= 4
    assert with_it["padded"] < 0.6 * without["padded"]


@pytest.mark.parametrize("sender", ["synthea", "synthea-uscore"])
def test_other_senders_shrink_three_times(training, shipped, held_out, sender):
    """Data of another maker, which is never trained on, comes out three times smaller or better."""
    if sender not in held_out:
        pytest.skip("../shared/data is not here")
    assert training.measure(held_out[sender], shipped)["ratio"] >= 3


def test_no_person_street_or_phrase_is_in_it(shipped):
    """Nobody's name, no street or town, and no sentence of a note can be read in the dictionary."""
    people = {part for one in heritages.HERITAGES for part in (*one.women, *one.men, *one.families)}
    streets = {town.name for town in places.TOWNS} | set(places._STREETS)
    phrases = {*notes._HOME, *notes._EXAMS, *notes._CLOSINGS}
    found = [word for word in people | streets | phrases if len(word) > 5 and word.encode() in shipped]
    assert found == []


def test_it_knows_what_every_sender_writes(shipped):
    """The terminology addresses and extension urls of US Core are in it."""
    for url in (
        "http://loinc.org",
        "http://snomed.info/sct",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
        "http://terminology.hl7.org/CodeSystem/observation-category",
        "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    ):
        assert url.encode() in shipped


def test_the_hand_written_shapes_are_valid_resources(training):
    """Every line of shapes.ndjson, filled with random values, is valid FHIR R4."""
    shapes, chance = sys.modules[training.shape_resources.__module__], Chance("shapes")
    for number, line in enumerate(shapes.SHAPES.read_text("utf-8").splitlines(), 1):
        problems = validate(shapes.fill(json.loads(line), chance))
        assert not problems, (number, problems)
