"""Readiness: each thing that every answer depends on, taken away; and what strangers learn of it."""

import asyncio

import httpx
import pytest

from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.errors import Unavailable
from medlock.records.readiness import Readiness
from medlock.settings import Settings
from medlock.store.tables import Table
from medlock.web.oplog import OpLog
from web.small_world import Lines

HERE = "https://localhost:8443"


@pytest.fixture
async def app(tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        yield app


async def answers(app):
    """Status and body of both probes."""
    transport = httpx.ASGITransport(app=_site(app, OpLog(Clock(), Lines())))
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        health, ready = await client.get("/healthz"), await client.get("/readyz")
    return health, ready


async def test_a_look_leaves_nothing_behind(app):
    """It writes no entry, no row and no file that stays."""
    size, files = await app.records.log.size(), set(app.records.settings.data_dir.iterdir())
    rows = await app.records.backend.scan(Table.JOB, None, 1_000)
    await app.readiness.ready()
    assert await app.records.log.size() == size
    assert await app.records.backend.scan(Table.JOB, None, 1_000) == rows
    assert set(app.records.settings.data_dir.iterdir()) == files


def broken_store(app, monkeypatch):
    async def refuse(*_):
        raise Unavailable("the database of the clinic at db.example.org is away")

    monkeypatch.setattr(type(app.records.backend), "last_key", refuse)


def broken_log(app, monkeypatch):
    async def refuse(*_):
        raise Unavailable("the disk is full")

    monkeypatch.setattr(type(app.records.backend), "commit", refuse)


def broken_keys(app, monkeypatch):
    def refuse(*_):
        raise Unavailable("the keystore is locked")

    monkeypatch.setattr(type(app.records.keystore), "watermark", refuse)


def broken_disk(app, monkeypatch):
    monkeypatch.setattr(app.readiness, "_probe", app.records.settings.data_dir / "gone" / "probe")


def silent_store(app, monkeypatch):
    async def wait(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr("medlock.records.readiness.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(type(app.records.backend), "commit", wait)


@pytest.mark.parametrize("break_", [broken_store, broken_log, broken_keys, broken_disk, silent_store])
async def test_whatever_is_missing_strangers_learn_only_that_it_is_not_ready(app, monkeypatch, break_):
    """Liveness stays 200; readiness is 503 with the same bytes for every cause, and 200 again when it is mended."""
    with monkeypatch.context() as patched:
        break_(app, patched)
        health, ready = await answers(app)
        assert health.status_code == 200
        assert (ready.status_code, ready.content) == (503, b'{"status":"unavailable"}')
        assert ready.headers["retry-after"] == "5"
    for task in [task for task in asyncio.all_tasks() if "_all" in repr(task)]:
        task.cancel()
        await asyncio.wait([task])
    _, ready = await answers(app)
    assert (ready.status_code, ready.content) == (200, b'{"status":"ok"}')


async def test_many_who_ask_share_one_look(app):
    """A hundred at once, and again within a second, cost one commit."""
    commits = 0
    backend = app.records.backend

    class Counting:
        last_key = backend.last_key

        async def commit(self, batch):
            nonlocal commits
            commits += 1
            return await backend.commit(batch)

    readiness = Readiness(Counting(), app.records.keystore, app.records.settings.data_dir)
    await asyncio.gather(*(readiness.ready() for _ in range(100)))
    await readiness.ready()
    assert commits == 1
