"""Bulk export over HTTP: what comes out is what the caller may see, written down, and gone when it is over."""

import asyncio

import httpx
import orjson
import pytest

from medlock.access.principal import Role
from medlock.audit.search import AuditQuery
from medlock.records.jobs import PLACES, Kind
from medlock.records.shred import Shredder
from medlock.web.bulk import KEPT_SECONDS
from records.world import notes_left
from web.exporting import BASE, LATER, flat, on_disk, place

JSON = {"content-type": "application/fhir+json"}
NAMED = "Zyxwvutsrq"


@pytest.fixture
async def site(tmp_path):
    async with place(tmp_path) as made:
        yield made


@pytest.fixture
async def small(site):
    """Three patients, ann's observation about bob as well, a Group of two, a practitioner; and a clinician."""
    site.dr = await site.token(Role.CLINICIAN, account="dr")
    for each in ("ann", "bob", "cyn"):
        await put(site, {"resourceType": "Patient", "id": each, "name": [{"family": NAMED}]})
        await put(site, observation(f"o-{each}", each))
    both = observation("o-both", "ann") | {"performer": [{"reference": "Patient/bob"}]}
    await put(site, both)
    await put(site, {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "House"}]})
    await put(site, group("pair", "ann", "bob"))
    return site


def observation(id_, patient, status="final"):
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": status,
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def group(id_, *members):
    named = [{"entity": {"reference": f"Patient/{each}"}} for each in members]
    return {"resourceType": "Group", "id": id_, "type": "person", "actual": True, "member": named}


async def put(site, resource):
    where = f"{resource['resourceType']}/{resource['id']}"
    answer = await site.client.put(where, content=orjson.dumps(resource), headers=site.dr | JSON)
    assert answer.status_code in {200, 201}, answer.text


async def test_an_export_of_the_clinic_is_what_searches_show(tmp_path):
    """System and Patient level, for a clinician and a patient: resource by resource what searches find for them."""
    async with place(tmp_path, patients=6) as site:
        dr = await site.token(Role.CLINICIAN)
        whole = flat(await site.export(dr))
        types = sorted({name.partition("/")[0] for name in whole})
        assert whole == await site.visible(dr, types)
        assert len(whole) > 500
        held = await site.export(dr, "Patient/$export")
        shared = {"Practitioner", "PractitionerRole", "Organization", "Location", "Medication"}
        assert set(flat(held)) == {name for name in whole if name.partition("/")[0] not in shared}
        one = min(name for name in whole if name.startswith("Patient/")).partition("/")[2]
        for query in ("category=laboratory", "value-quantity=gt50"):  # of one of them the index knows nothing
            narrow = await site.token(Role.CLINICIAN, f"user/Observation.rs?{query} user/Patient.rs", account="narrow")
            some = flat(await site.export(narrow))
            assert some == await site.visible(narrow, types)
            plain = await site.visible(dr, ["Observation"], f"&{query}")
            assert {name for name in some if name.startswith("Observation/")} == set(plain)
            assert 10 < len(plain) < len(await site.visible(dr, ["Observation"]))
        own = await site.token(Role.PATIENT, patient=one)
        assert flat(await site.export(own)) == await site.visible(own, types)
        mine = flat(await site.export(own, "Patient/$export"))
        assert {name for name in mine if name.startswith("Patient/")} == {f"Patient/{one}"}
        assert all(one in orjson.dumps(each).decode() for each in mine.values())


async def test_a_group_is_its_members_as_they_are_now(small):
    """Of each member once what is theirs, a resource of two once; who left while files are fetched is not in them."""
    found = flat(await small.export(small.dr, "Group/pair/$export"))
    assert set(found) == {"Patient/ann", "Patient/bob", *map("Observation/o-{}".format, ("ann", "bob", "both")),
                          "Group/pair"}  # fmt: skip
    where = await small.begin(small.dr, "Group/pair/$export?_type=Observation")
    manifest = await small.manifest(small.dr, where)
    await put(small, group("pair", "bob"))
    assert set(flat(await small.fetch(small.dr, manifest))) == {"Observation/o-bob", "Observation/o-both"}


async def test_groups_that_cannot_be_meant(small):
    """A Group that is not there or out of reach is 404; one that describes, or has Groups inside, is 422."""
    described = group("kind") | {"actual": False}
    del described["member"]
    await put(small, described)
    nested = group("nest") | {"member": [{"entity": {"reference": "Group/pair"}}]}
    await put(small, nested)
    for name, status in (("none", 404), ("kind", 422), ("nest", 422)):
        answer = await small.client.get(f"Group/{name}/$export", headers=small.dr | LATER)
        assert answer.status_code == status
    cyn = await small.token(Role.PATIENT, patient="cyn")
    assert (await small.client.get("Group/pair/$export", headers=cyn | LATER)).status_code == 404


async def test_parameters_are_kept_to_or_refused_by_name(small):
    """_type, _since, _typeFilter and _outputFormat do what they say, by GET and POST; all others are 400 by name."""
    found = flat(await small.export(small.dr, "Patient/$export?_type=Patient&_outputFormat=ndjson"))
    assert set(found) == {"Patient/ann", "Patient/bob", "Patient/cyn"}
    manifest = await small.manifest(small.dr, await small.begin(small.dr))
    await asyncio.sleep(0.002)
    await put(small, observation("o-bob", "bob", "amended"))
    since = flat(await small.export(small.dr, "$export", params={"_since": manifest["transactionTime"]}))
    assert set(since) == {"Observation/o-bob"}
    filters = {"_typeFilter": "Observation?status=amended,Observation?_id=o-cyn", "_type": "Observation,Patient"}
    chosen = flat(await small.export(small.dr, "$export", params=filters))
    assert set(chosen) == {"Observation/o-bob", "Observation/o-cyn", *map("Patient/{}".format, ("ann", "bob", "cyn"))}
    only = flat(await small.export(small.dr, "$export?_type=Patient", params={"_typeFilter": "Patient?_id=bob"}))
    assert "Patient/bob" in only
    posted = {"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Practitioner"}, {"name": "_type", "valueString": "Group"},
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"}]}  # fmt: skip
    answer = await small.client.post("$export", content=orjson.dumps(posted), headers=small.dr | JSON | LATER)
    files = await small.fetch(small.dr, await small.manifest(small.dr, answer.headers["content-location"]))
    assert set(flat(files)) == {"Practitioner/doc", "Group/pair"}
    for query in ("_elements=id", "patient=Patient/ann", "includeAssociatedData=x", "_outputFormat=csv", "_type=Nope",
                  "_typeFilter=Observation", "_typeFilter=Observation?patient.name=x", "_since=yesterday",
                  "_typeFilter=Patient?x=1&_type=Observation", "policy=safe-harbor", "_count=3"):  # fmt: skip
        answer = await small.client.get(f"$export?{query}", headers=small.dr | LATER)
        assert answer.status_code == 400, query
    assert (await small.client.get("$export", headers=small.dr)).status_code == 400
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "$export"}}]}
    answer = await small.client.post("", content=orjson.dumps(batch), headers=small.dr | JSON)
    assert answer.json()["entry"][0]["response"]["status"].startswith("400")


async def test_what_changes_after_the_transaction_time_waits_for_the_next(small):
    """A resource changed between kick-off and download is left out, and the next export since then has it."""
    where = await small.begin(small.dr, "$export?_type=Observation")
    manifest = await small.manifest(small.dr, where)
    await asyncio.sleep(0.002)
    await put(small, observation("o-cyn", "cyn", "amended"))
    assert "Observation/o-cyn" not in flat(await small.fetch(small.dr, manifest))
    later = flat(await small.export(small.dr, "$export", params={"_since": manifest["transactionTime"]}))
    assert set(later) == {"Observation/o-cyn"}


@pytest.mark.parametrize("path", ["$export", "Patient/$export", "Group/pair/$export", "$anonymize"])
async def test_head_begins_nothing(small, path):
    """HEAD is safe (RFC 9110 §9.2.1): it is 405, no export begins, and none counts among those that are kept."""
    answer = await small.client.head(path, headers=small.dr | LATER)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    for _ in range(PLACES):
        await small.manifest(small.dr, await small.begin(small.dr))


async def test_types_that_are_not_allowed_are_refused(small):
    """A type named that scope or role do not allow is 403, and so is any of it; unnamed, the export is cut to them."""
    narrow = await small.token(Role.CLINICIAN, "user/Patient.rs", account="n")
    assert (await small.client.get("$export?_type=Observation", headers=narrow | LATER)).status_code == 403
    filtered = await small.client.get("$export?_typeFilter=Observation?status=final", headers=narrow | LATER)
    assert filtered.status_code == 403
    assert (await small.client.get("Group/pair/$export", headers=narrow | LATER)).status_code == 403
    assert {name.partition("/")[0] for name in flat(await small.export(narrow))} == {"Patient"}
    reads = await small.token(Role.CLINICIAN, "user/Patient.r", account="r")
    assert (await small.client.get("$export", headers=reads | LATER)).status_code == 403


async def test_an_export_belongs_to_whom_it_was_made_for(small):
    """Another account, fewer scopes, no token: 404 or 401 for status, files and DELETE; then the owner still has it."""
    where = await small.begin(small.dr, "$export?_type=Patient")
    manifest = await small.manifest(small.dr, where)
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"] == f"{BASE}/$export?_type=Patient"
    (notice,) = manifest["error"]
    said = await small.client.get(notice["url"], headers=small.dr)
    assert said.json()["issue"][0]["severity"] == "information"
    file = manifest["output"][0]["url"]
    others = [await small.token(Role.CLINICIAN, account="else"),
              await small.token(Role.CLINICIAN, "user/Patient.rs", account="dr"),
              await small.token(Role.PATIENT, patient="ann", account="dr")]  # fmt: skip
    for method, address in (("GET", where), ("HEAD", where), ("DELETE", where), ("GET", file), ("HEAD", file)):
        for headers in others:
            assert (await small.client.request(method, address, headers=headers)).status_code == 404
        assert (await small.client.request(method, address)).status_code == 401
    assert (await small.client.post(file, headers=small.dr)).status_code == 405
    assert (await small.client.get(f"{where}/Observation", headers=small.dr)).status_code == 404
    assert not (await small.client.head(file, headers=small.dr)).content
    again = await small.token(Role.CLINICIAN, account="dr")
    assert (await small.client.get(file, headers=again)).status_code == 200


async def test_cancelled_is_gone_and_a_restart_takes_nothing(tmp_path):
    """After DELETE the addresses are as if they had never been; an export that is kept is there in the next process."""
    async with place(tmp_path) as site:
        site.dr = await site.token(Role.CLINICIAN, account="dr")
        await put(site, {"resourceType": "Patient", "id": "ann"})
        where = await site.begin(site.dr)
        file = (await site.manifest(site.dr, where))["output"][0]["url"]
        assert (await site.client.delete(where, headers=site.dr)).status_code == 202
        for method, address in (("GET", where), ("DELETE", where), ("GET", file)):
            assert (await site.client.request(method, address, headers=site.dr)).status_code == 404
        kept, headers = await site.begin(site.dr), site.dr
    async with place(tmp_path) as site:
        assert set(flat(await site.fetch(headers, await site.manifest(headers, kept)))) == {"Patient/ann"}


async def test_an_export_expires(small):
    """The manifest says when; after that it is gone, and housekeeping takes its row away."""
    where = await small.begin(small.dr)
    answer = await small.client.get(where, headers=small.dr)
    assert answer.headers["expires"].endswith("GMT")
    book = jobs_of(small)._book
    now = book._now_ms
    await book.sweep()
    assert [each.job.counted for each in await book.of(Kind.EXPORT, "dr") if each is not None] == [True]
    book._now_ms = lambda: now() + (KEPT_SECONDS + 1) * 1000
    assert (await small.client.get(where, headers=small.dr)).status_code == 404
    await book.sweep()
    assert await notes_left(small.app.records.vault) == []


def jobs_of(site):
    """The exports of the site."""
    return site.client._transport.app._api._bulk._bulk


async def test_one_at_a_time_and_four_kept(small, monkeypatch):
    """While one is counted the next is 429; others may; a fifth that is kept is 429 until one is let go of."""
    monkeypatch.setattr("medlock.records.exporting.LOOKED", 1)
    where = await small.begin(small.dr)
    answer = await small.client.get("$export", headers=small.dr | LATER)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    other = await small.token(Role.CLINICIAN, account="else")
    await small.manifest(other, await small.begin(other))
    pending = await small.client.get(where, headers=small.dr)
    assert pending.status_code in {200, 202}
    assert set(flat(await small.fetch(small.dr, await small.manifest(small.dr, where)))) > {"Patient/ann"}
    for _ in range(3):
        await small.manifest(small.dr, await small.begin(small.dr))
    assert (await small.client.get("$export", headers=small.dr | LATER)).status_code == 429
    assert (await small.client.delete(where, headers=small.dr)).status_code == 202
    await small.begin(small.dr)


async def test_two_files_are_sent_at_once(small, monkeypatch):
    """A third is 429, and so is another export; when one is let go of, the next is sent. Then no key is left here."""
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    where = await small.begin(small.dr, "$export?_type=Patient")
    file = (await small.manifest(small.dr, where))["output"][0]["url"]
    jobs, secret = jobs_of(small), small.dr["authorization"].partition(" ")[2]

    async def again():
        return await small.app.tokens.authenticate(secret)

    principal = await again()
    open_ = [jobs.file(principal, where.rpartition("/")[2], "Patient", again) for _ in range(2)]
    for each in open_:
        assert await anext(each)
    assert (await small.client.get(file, headers=small.dr)).status_code == 429
    assert (await small.client.get("$export", headers=small.dr | LATER)).status_code == 429
    await open_[0].aclose()
    assert (await small.client.get(file, headers=small.dr)).status_code == 200
    await open_[1].aclose()
    (held,) = [each for each in await jobs._book.of(Kind.EXPORT, "dr") if each is not None]
    assert held.job.streams == ()
    assert not small.app.records.projects._drawn


async def test_cancelling_while_it_is_counted_ends_it(small, monkeypatch):
    """DELETE before it is counted: the work ends, the address is gone, and its row with it."""
    monkeypatch.setattr("medlock.records.exporting.LOOKED", 1)
    where = await small.begin(small.dr)
    (task,) = jobs_of(small)._tasks.values()
    assert (await small.client.delete(where, headers=small.dr)).status_code == 202
    await asyncio.gather(task, return_exceptions=True)
    assert not jobs_of(small)._tasks
    assert (await small.client.get(where, headers=small.dr)).status_code == 404
    assert await notes_left(small.app.records.vault) == []
    await small.begin(small.dr)


async def test_pieces_end_by_number_and_by_bytes(small, monkeypatch):
    """However small the pieces are, all resources come, each once."""
    whole = flat(await small.export(small.dr))
    for page, size in ((1, 10**9), (2, 10**9), (200, 1), (3, 300)):
        monkeypatch.setattr("medlock.records.exporting.PAGE", page)
        monkeypatch.setattr("medlock.records.exporting.BYTES", size)
        monkeypatch.setattr("medlock.records.exporting._AT_ONCE", 1)
        assert flat(await small.export(small.dr)) == whole


@pytest.mark.parametrize("how", ["revoked", "cancelled"])
async def test_a_right_that_ends_cuts_the_file_off(small, monkeypatch, how):
    """Between two pieces the token is revoked, or the export cancelled: no further piece, and no end of the file."""
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    where = await small.begin(small.dr, "$export?_type=Patient")
    file = (await small.manifest(small.dr, where))["output"][0]["url"]
    messages = []

    async def send(message):
        messages.append(message)
        if message["type"] == "http.response.body":
            if how == "cancelled":
                assert (await small.client.delete(where, headers=small.dr)).status_code == 202
            else:
                for each in small.issued:
                    await small.app.tokens.revoke(each, "test")

    await _raw(small, file, send)
    bodies = [each for each in messages if each["type"] == "http.response.body"]
    assert len(bodies) == 1
    assert bodies[0]["more_body"]


async def test_nothing_is_made_for_a_caller_who_has_gone(small, monkeypatch):
    """The connection ends after the first piece: no further resource is fetched or written down as disclosed."""
    monkeypatch.setattr("medlock.records.exporting.PAGE", 1)
    where = await small.begin(small.dr, "$export?_type=Patient")
    file = (await small.manifest(small.dr, where))["output"][0]["url"]
    gone = asyncio.Event()

    async def send(_message):
        gone.set()
        await asyncio.sleep(0)

    await _raw(small, file, send, gone)
    assert len(await disclosed(small)) < 3


async def _raw(site, address, send, gone=None):
    """One request as ASGI has it; the caller leaves when `gone` is set."""
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        for message in asked:
            return message
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    url = httpx.URL(address)
    scope = {"type": "http", "method": "GET", "raw_path": url.raw_path, "path": url.path, "query_string": b"",
             "headers": [(b"authorization", site.dr["authorization"].encode())]}  # fmt: skip
    await site.client._transport.app(scope, receive, send)


async def disclosed(site):
    """What the log says of exports: reference → account."""
    found = {}
    after = None
    while events := await site.app.records.log.find(AuditQuery(after_seq=after, limit=500)):
        after = events[-1].seq
        for each in events:
            if each.event.action == "record:tenant:export":
                found |= {touched.reference: each.event for touched in each.event.touched}
    return found


async def test_every_resource_is_in_the_log_under_its_patient(small):
    """Each resource of each file is in an audit entry of its owner, with the version and who asked; a count is not."""
    where = await small.begin(small.dr)
    manifest = await small.manifest(small.dr, where)
    assert await disclosed(small) == {}
    found = flat(await small.fetch(small.dr, manifest))
    log = await disclosed(small)
    assert set(log) == set(found)
    for name, event in log.items():
        owner = {"o-both": "ann", "pair": "ann", "doc": ""}.get(name.partition("/")[2], name[-3:])
        assert (event.account, event.patient) == ("dr", owner), name
        assert "$export" in event.query


async def test_an_erased_patient_is_not_in_what_is_fetched_later(small):
    """Erasure between kick-off and download: nothing of that patient comes."""
    where = await small.begin(small.dr)
    manifest = await small.manifest(small.dr, where)
    records = small.app.records
    await Shredder(records.vault, records.log, records.clock).shred(small.app.operator(Role.PRIVACY_OFFICER), "cyn")
    found = {}
    for each in manifest["output"]:
        answer = await small.client.get(each["url"], headers=small.dr)
        assert answer.status_code == 200
        found |= {orjson.loads(line)["id"]: line for line in answer.content.splitlines()}
    assert "cyn" not in found
    assert "o-cyn" not in found
    assert "ann" in found


async def test_no_byte_of_an_output_is_ever_on_disk(small, tmp_path):
    """The marker that every output holds is in no file of the data directory, while it is fetched and after."""
    found = await small.export(small.dr)
    assert NAMED in str(found)
    await small.manifest(small.dr, await small.begin(small.dr))
    await small.app.records.log.seal_checkpoint()
    data = on_disk(tmp_path / "data")
    assert len(data) > 10_000
    assert NAMED.encode() not in data
