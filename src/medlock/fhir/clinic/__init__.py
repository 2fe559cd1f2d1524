"""The synthetic clinic: a small town's health records, invented whole from a seed number.

It is what `make demo` shows, what ordinary tests read and what the compression dictionary is trained on: families
under one roof, clinicians, visits and laboratory values over years, prescriptions, vaccinations, notes, and the
episodes that people guard most, labelled as such. `clinic` makes the transaction Bundles, `describe` counts them.

Nobody in it exists. Names, streets and texts were written for it; telephones are from ranges set aside for
fiction, mail and web addresses end in `.example`. Codes are real, so that searches look as they do in practice.
The resources are plain FHIR R4 in the shape that US Core clients expect; no profile is claimed. What it leaves
out: billing, images, anything whose rates could be mistaken for epidemiology.
"""

from medlock.fhir.clinic.bundles import clinic
from medlock.fhir.clinic.tally import Tally, describe

__all__ = ["Tally", "clinic", "describe"]
