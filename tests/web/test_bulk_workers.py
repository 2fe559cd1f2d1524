"""Exports and answers that wait, over several workers: any of them answers, bounds are common, and none that dies sticks."""

import asyncio
from contextlib import AsyncExitStack

import orjson
import pytest

from consent.form import consent
from medlock.access.principal import Role
from medlock.fhir.question import Interaction, Question
from medlock.records.jobs import Kind, is_job
from medlock.store.tables import Batch, Table
from medlock.web.bulk import CLAIM_SECONDS, STREAM_SECONDS
from store.pgserver import database
from web.exporting import BASE, LATER, flat, on_disk, place
from web.test_bulk import NAMED, group, jobs_of, observation, put


@pytest.fixture(params=["sqlite", "postgres"])
async def two(request, tmp_path):
    """Two workers on one store, with three patients; a clinician's headers are known to both."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(database()) if request.param == "postgres" else ""
        one = await stack.enter_async_context(place(tmp_path, store=store))
        other = await stack.enter_async_context(place(tmp_path, store=store))
        one.dr = other.dr = await one.token(Role.CLINICIAN, account="dr")
        for each in ("ann", "bob", "cyn"):
            await put(one, {"resourceType": "Patient", "id": each, "name": [{"family": NAMED}]})
            await put(one, observation(f"o-{each}", each))
        await put(one, group("pair", "ann", "bob"))
        yield one, other


def later(site, seconds):
    """Let time pass for a worker's exports."""
    jobs = jobs_of(site)
    for each in (jobs, jobs._book):
        before = each._now_ms
        each._now_ms = lambda now=before: now() + seconds * 1000


async def test_any_worker_answers(two):
    """Begun with one, counted, fetched and cancelled with the other: as with one alone."""
    one, other = two
    where = await one.begin(one.dr, "Group/pair/$export?_type=Patient,Observation")
    manifest = await other.manifest(other.dr, where)
    assert manifest["request"] == f"{BASE}/Group/pair/$export?_type=Patient,Observation"
    for site in two:
        found = flat(await site.fetch(site.dr, manifest))
        assert set(found) == {"Patient/ann", "Patient/bob", "Observation/o-ann", "Observation/o-bob"}
    assert (await other.client.delete(where, headers=other.dr)).status_code == 202
    for method, address in (("GET", where), ("DELETE", where), ("GET", manifest["output"][0]["url"])):
        assert (await one.client.request(method, address, headers=one.dr)).status_code == 404


async def test_files_of_one_anonymous_export_fit_together(two):
    """Its key is drawn once: two workers give the same pseudonyms, another export others; no row or log has the key."""
    one, other = two
    found = []
    for _ in range(2):
        where = await one.begin(one.dr, "Patient/$anonymize?_type=Patient,Observation")
        by_type = {each["type"]: each["url"] for each in (await one.manifest(one.dr, where))["output"]}
        lines = []
        for site, type_ in ((one, "Patient"), (other, "Observation")):
            answer = await site.client.get(by_type[type_], headers=site.dr)
            lines.append([orjson.loads(line) for line in answer.content.splitlines()])
        patients = {f"Patient/{each['id']}" for each in lines[0]}
        assert {each["subject"]["reference"] for each in lines[1]} == patients
        found.append(patients)
        assert (await other.client.delete(where, headers=other.dr)).status_code == 202
    assert not found[0] & found[1]
    assert not any(site.app.records.projects._engines or site.app.records.projects._drawn for site in two)


async def test_a_worker_that_dies_while_it_counts(two, monkeypatch):
    """While it may be alive the other waits, and no second export begins; afterwards whoever asks goes on to the end."""
    one, other = two
    monkeypatch.setattr("medlock.records.exporting.LOOKED", 1)
    jobs_of(one)._go_on = lambda *_: None  # it is gone after its first answer
    where = await one.begin(one.dr)
    waiting = await other.client.get(where, headers=other.dr)
    assert (waiting.status_code, waiting.headers["x-progress"]) == (202, "1 of 4 records")
    assert (await other.client.get("$export", headers=other.dr | LATER)).status_code == 429
    later(other, CLAIM_SECONDS + 1)
    assert len(flat(await other.fetch(other.dr, await other.manifest(other.dr, where)))) == 7


async def test_a_refusal_while_it_is_counted_is_told_to_who_asks(two, monkeypatch):
    """A Group that is deleted meanwhile: the status is 404, each time, and the export holds up no other."""
    one, other = two
    monkeypatch.setattr("medlock.records.exporting.LOOKED", 1)
    jobs_of(one)._go_on = lambda *_: None
    where = await one.begin(one.dr, "Group/pair/$export")
    assert (await one.client.delete("Group/pair", headers=one.dr)).status_code == 204
    later(other, CLAIM_SECONDS + 1)
    for _ in range(2):
        assert (await other.client.get(where, headers=other.dr)).status_code in {404, 410}
    await other.begin(other.dr)


async def test_two_files_are_sent_at_once_by_all_workers_together(two, monkeypatch):
    """One by each, a third is 429 with both; what a dead worker said to be sending counts no longer after a minute."""
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    where = await two[0].begin(two[0].dr, "$export?_type=Patient")
    file = (await two[0].manifest(two[0].dr, where))["output"][0]["url"]
    sending = [await _opened(site, where) for site in two]
    for site in two:
        assert (await site.client.get(file, headers=site.dr)).status_code == 429
        assert (await site.client.get("$export", headers=site.dr | LATER)).status_code == 429
    later(two[1], STREAM_SECONDS + 1)
    assert (await two[1].client.get(file, headers=two[1].dr)).status_code == 200
    for each in sending:
        await each.aclose()
    assert (await two[0].client.get(file, headers=two[0].dr)).status_code == 200


async def _opened(site, where):
    """A file of which the first piece was sent."""

    async def again():
        return await site.app.tokens.authenticate(site.dr["authorization"].partition(" ")[2])

    pieces = jobs_of(site).file(await again(), where.rpartition("/")[2], "Patient", again)
    assert await anext(pieces)
    return pieces


@pytest.mark.parametrize("how", ["revoked", "cancelled"])
async def test_what_ends_with_one_worker_is_cut_off_with_the_other(two, monkeypatch, how):
    """A DELETE or a revocation elsewhere: the next piece is not made."""
    one, other = two
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    where = await one.begin(one.dr, "$export?_type=Patient")
    await one.manifest(one.dr, where)
    pieces = await _opened(one, where)
    if how == "cancelled":
        assert (await other.client.delete(where, headers=other.dr)).status_code == 202
    else:
        await other.app.tokens.revoke(one.issued[0], "test")
    with pytest.raises(Exception, match=r"nothing here|valid token"):
        await anext(pieces)


async def test_exports_that_begin_together_take_different_places(two):
    """Of two at the same moment each has its own row, or is told to wait; none is lost."""
    answers = await asyncio.gather(*(site.client.get("$export", headers=site.dr | LATER) for site in two))
    begun = [each.headers["content-location"] for each in answers if each.status_code == 202]
    assert begun
    assert {each.status_code for each in answers} <= {202, 429}
    for where in begun:
        assert len(flat(await two[0].fetch(two[0].dr, await two[1].manifest(two[1].dr, where)))) == 7
    app = two[0].app.records
    rows = await app.backend.scan(Table.JOB, None, 1_000)
    assert len([key for key, ct in rows if is_job(app.vault.notes.open(key, ct)[0])]) == len(begun)


async def test_an_answer_waits_for_any_worker(two):
    """Asked of one, fetched from the other, as records are then; after that it is gone with both."""
    one, other = two
    asked = await one.client.get("Observation?subject=Patient/ann", headers=one.dr | LATER)
    where = asked.headers["content-location"]
    await put(one, observation("o-new", "ann"))
    bundle = (await other.client.get(where, headers=other.dr)).json()["entry"][0]["resource"]
    assert {each["resource"]["id"] for each in bundle["entry"]} == {"o-ann", "o-new"}
    for site in two:
        assert (await site.client.get(where, headers=site.dr)).status_code == 404


async def test_rows_say_nothing_in_clear(two, tmp_path):
    """Neither what was asked nor who asked nor the name stands on disk; rows of all jobs are as long as each other."""
    one = two[0]
    where = await one.begin(one.dr, f"$export?_typeFilter=Patient?name={NAMED}&_type=Patient")
    await one.client.get(f"Patient?name={NAMED}", headers=one.dr | LATER)
    notes = one.app.records.vault.notes
    every = await one.app.records.backend.scan(Table.JOB, None, 1_000)
    rows = [(key, ct) for key, ct in every if is_job(notes.open(key, ct)[0])]
    assert len({len(ct) for _, ct in rows}) == 1
    assert len(rows) == 2
    data = on_disk(tmp_path / "data") + b"".join(ct for _, ct in rows)
    for needle in (NAMED, where.rpartition("/")[2][1:], "$export", "typeFilter"):
        assert needle.encode() not in data


async def test_a_row_that_was_edited_opens_for_nobody(two):
    """It is refused as tampered with, and the operator's log has it."""
    one = two[0]
    where = await one.begin(one.dr)
    (held,) = [each for each in await jobs_of(one)._book.of(Kind.EXPORT, "dr") if each is not None]
    edited = held.row[:-1] + bytes([held.row[-1] ^ 1])
    await one.app.records.backend.commit(Batch(puts=[(Table.JOB, held.key, edited)]))
    assert (await one.client.get(where, headers=one.dr)).status_code == 500
    assert one.lines
    one.lines.clear()


async def deny(site, who):
    """A patient's consent: nobody may see anything."""
    made = consent({"patient": who, "provision": {"type": "deny"}}, who)
    question = Question(Interaction.UPDATE, "Consent", made["id"], body=orjson.dumps(made), prefer="minimal")
    await site.app.records.door.answer(site.app.operator(Role.LOADER), question)


async def test_a_consent_that_is_taken_away_meanwhile(two, monkeypatch):
    """X-K12, X-K14: between kick-off and download, and in the middle of a file of another worker's; nothing tells of it."""
    one, other = two
    before = await one.client.get("Group/pair", headers=one.dr)
    assert before.status_code == 200
    where = await one.begin(one.dr, "Group/pair/$export?_type=Patient,Observation")
    manifest = await one.manifest(one.dr, where)
    await deny(one, "ann")
    assert set(flat(await other.fetch(other.dr, manifest))) == {"Patient/bob", "Observation/o-bob"}
    assert (await other.manifest(other.dr, where)) == manifest
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    whole = await one.begin(one.dr, "Patient/$export?_type=Observation")
    await one.manifest(one.dr, whole)

    async def again():
        return await one.app.tokens.authenticate(one.dr["authorization"].partition(" ")[2])

    pieces = jobs_of(one).file(await again(), whole.rpartition("/")[2], "Observation", again)
    found = b""
    while not found:
        found = await anext(pieces)
    (first,) = [orjson.loads(line)["subject"]["reference"] for line in found.splitlines()]
    (last,) = {"Patient/bob", "Patient/cyn"} - {first}
    await deny(other, last.partition("/")[2])
    assert [piece async for piece in pieces if piece] == []
