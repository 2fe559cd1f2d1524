"""The clinic as transaction Bundles: first what everybody shares, then one Bundle per household.

Every entry is a PUT to an id that the seed decides, and every reference is literal (`Patient/demo-00017`). Loading
the same clinic twice therefore changes nothing but version numbers: no search by identifier, no `ifNoneExist`, no
urn:uuid to resolve, and a README can name `Patient/demo-00001`. Two seeds use the same ids, so the later one
replaces the earlier one where they overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from medlock.fhir.clinic import life
from medlock.fhir.clinic.chart import Chart, with_meta
from medlock.fhir.clinic.people import Household, draw_household
from medlock.fhir.clinic.staff import Staff
from medlock.fhir.clinic.terms import CLINIC, Json


def clinic(seed: int, patients: int, *, today: date) -> Iterator[Json]:
    """Bundles of a clinic with exactly `patients` patients, as it stands on `today`.

    The same arguments give the same bundles to the byte, on every machine. Households do not depend on how many
    patients are asked for, save that the last may be cut short. Bundles are made one by one, as they are taken.
    """
    staff = Staff(seed)
    yield _transaction([with_meta(resource) for resource in staff.resources])
    made = 0
    for number in range(patients):
        if made >= patients:
            return
        household = draw_household(seed, number, made + 1, patients - made, today)
        made += len(household.people)
        yield _transaction(_charts(household, staff, today, seed))


def _charts(household: Household, staff: Staff, today: date, seed: int) -> list[Json]:
    resources = list[Json]()
    for person in household.people:
        chart = Chart(person, household, staff, today, seed)
        life.write(chart)
        resources += chart.resources
    return resources


def _transaction(resources: list[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(resource) for resource in resources]}


def _entry(resource: Json) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"{CLINIC}fhir/{url}", "resource": resource, "request": {"method": "PUT", "url": url}}
