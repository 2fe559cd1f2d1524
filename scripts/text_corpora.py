"""The corpora that text de-identification is trained and measured on, read where they lie; nothing of them is shipped.

    ASQ-PHI          clinical queries, English              MIT (J. Weatherhead)
    MEDDOCAN         clinical cases, Spanish                CC BY 4.0 (Plan de Impulso de las Tecnologías del Lenguaje)
    presidio synth   sentences filled from templates        MIT (Microsoft)
    Synthea bundles  records to render notes from           Apache-2.0, see text_notes.py

Every licence allows a model derived from the texts to be shipped with attribution (docs/deid/text.md).
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medlock.deid.text.spans import Kind

DATA = Path(__file__).parents[2] / "shared" / "data"
ASQ = Path("deid/asq-phi/queries_dev.txt")
MEDDOCAN = Path("deid/meddocan/meddocan_train_dev.tar.xz")
PRESIDIO = Path("deid/presidio-synth/synth_dataset_v2.json")


@dataclass(frozen=True, slots=True)
class Gold:
    """One annotated identifier: its place, our kind for it, and the corpus's own label."""

    start: int
    end: int
    kind: Kind
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its identifiers. `values` are the annotated values where a corpus gives values instead of places."""

    name: str
    text: str
    gold: tuple[Gold, ...]
    values: tuple[tuple[str, str], ...] = ()

    def held_out(self, fifths: int = 2) -> bool:
        """Whether the document belongs to the part that tuning never looks at: by its text, so that it stays."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 5 < fifths


ASQ_KINDS = {
    "NAME": Kind.NAME,
    "GEOGRAPHIC_LOCATION": Kind.PLACE,
    "DATE": Kind.DATE,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
    "FAX_NUMBER": Kind.FAX,
    "SOCIAL_SECURITY_NUMBER": Kind.SSN,
    "MEDICAL_RECORD_NUMBER": Kind.MRN,
    "HEALTH_PLAN_BENEFICIARY_NUMBER": Kind.PLAN,
    "ACCOUNT_NUMBER": Kind.ACCOUNT,
    "CERTIFICATE_LICENSE_NUMBER": Kind.LICENCE,
}
MEDDOCAN_KINDS = {
    "TERRITORIO": Kind.PLACE,
    "FECHAS": Kind.DATE,
    "EDAD_SUJETO_ASISTENCIA": Kind.AGE,
    "NOMBRE_SUJETO_ASISTENCIA": Kind.NAME,
    "NOMBRE_PERSONAL_SANITARIO": Kind.NAME,
    "SEXO_SUJETO_ASISTENCIA": Kind.SEX,
    "CALLE": Kind.STREET,
    "PAIS": Kind.COUNTRY,
    "ID_SUJETO_ASISTENCIA": Kind.MRN,
    "ID_CONTACTO_ASISTENCIAL": Kind.MRN,
    "CORREO_ELECTRONICO": Kind.EMAIL,
    "ID_TITULACION_PERSONAL_SANITARIO": Kind.LICENCE,
    "ID_ASEGURAMIENTO": Kind.PLAN,
    "HOSPITAL": Kind.HOSPITAL,
    "INSTITUCION": Kind.HOSPITAL,
    "CENTRO_SALUD": Kind.HOSPITAL,
    "FAMILIARES_SUJETO_ASISTENCIA": Kind.RELATIVE,
    "NUMERO_TELEFONO": Kind.PHONE,
    "NUMERO_FAX": Kind.FAX,
    "PROFESION": Kind.PROFESSION,
    "OTROS_SUJETO_ASISTENCIA": Kind.OTHER,
}
PRESIDIO_KINDS = {
    "PERSON": Kind.NAME,
    "STREET_ADDRESS": Kind.STREET,
    "GPE": Kind.PLACE,
    "ORGANIZATION": Kind.HOSPITAL,
    "CREDIT_CARD": Kind.ACCOUNT,
    "DATE_TIME": Kind.DATE,
    "PHONE_NUMBER": Kind.PHONE,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "ZIP_CODE": Kind.ZIP,
    "IBAN_CODE": Kind.ACCOUNT,
    "US_SSN": Kind.SSN,
    "IP_ADDRESS": Kind.IP,
    "US_DRIVER_LICENSE": Kind.LICENCE,
}


def asq(data: Path = DATA) -> Iterator[Document]:
    """The development half of ASQ-PHI; every occurrence of a value counts."""
    for number, part in enumerate((data / ASQ).read_text().split("===QUERY===")[1:]):
        text, _, tags = part.partition("===PHI_TAGS===")
        text = text.strip()
        values = [
            (tag["identifier_type"], tag["value"]) for tag in map(json.loads, filter(None, tags.strip().split("\n")))
        ]
        gold = [
            Gold(match.start(), match.end(), ASQ_KINDS.get(label, Kind.ID), label)
            for label, value in values
            for match in re.finditer(re.escape(value), text)
        ]
        yield Document(f"asq-{number}", text, tuple(gold), tuple(values))


def meddocan(part: str, data: Path = DATA) -> Iterator[Document]:
    """One part ("train", "dev") of MEDDOCAN, in order of the file names."""
    with tarfile.open(data / MEDDOCAN) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if f"/{part}/brat/" in member.name}
        read = {name: file.read().decode() for name, file in files.items() if file is not None}
    for name in sorted(read):
        if name.endswith(".txt"):
            yield Document(Path(name).stem, read[name], tuple(_brat(read[name.removesuffix("txt") + "ann"])))


def _brat(annotations: str) -> Iterator[Gold]:
    for line in annotations.split("\n"):
        if line.startswith("T"):
            label, *places = line.split("\t")[1].split()
            yield Gold(int(places[0]), int(places[-1]), MEDDOCAN_KINDS.get(label, Kind.ID), label)


def presidio(data: Path = DATA) -> Iterator[Document]:
    """The 1,500 sentences of presidio-research; kinds that HIPAA does not know are left out."""
    for number, item in enumerate(json.loads((data / PRESIDIO).read_text())):
        gold = [
            Gold(span["start_position"], span["end_position"], PRESIDIO_KINDS[span["entity_type"]], span["entity_type"])
            for span in item["spans"]
            if span["entity_type"] in PRESIDIO_KINDS
        ]
        yield Document(f"presidio-{number}", item["full_text"], tuple(gold))
