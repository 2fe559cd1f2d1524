"""`medlock verify` and what a thief with write access does to clients and approvals: put back, taken away, put in, changed."""

import pytest

from medlock.app import verify_checks
from medlock.audit.findings import Kind
from medlock.records.verify import verify_all
from medlock.store.tables import Batch, Table
from smart.site import open_site_in


async def found(app):
    """What is wrong in OAUTH and TOKEN, by kind."""
    findings = await verify_all(app.records, verify_checks(app.records))
    assert all(each.table in {Table.OAUTH, Table.TOKEN} for each in findings)
    return sorted(each.kind for each in findings)


@pytest.fixture
async def site(tmp_path):
    async with open_site_in(tmp_path) as opened:
        yield opened


async def rows(site, table=Table.OAUTH):
    """Every row of a table."""
    return dict(await site.app.records.backend.scan(table, None, 1_000))


async def put(site, **more):
    """Behind everybody's back, by who has no keys."""
    await site.app.records.backend.commit(Batch(**more))


async def test_what_lives_is_in_order(site):
    """Clients, approvals, tokens, keys, a client that was changed, an approval that ended: nothing is wrong."""
    client = await site.client()
    ann = await site.person("Ann", "patient", "Patient/ann")
    for _ in range(2):
        await site.tokens(client, ann, "openid offline_access patient/*.rs")
    (first, _) = await site.server.endings.of(ann.account)
    await site.server.endings.end_approval(first.id, "test", "test")
    await site.app.oauth.clients.change(client.id, "test", {"verified": True})
    assert await found(site.app) == []


async def test_a_client_that_was_put_back(site):
    """A client disabled, and its row put back as it was before: rolled back. Taken away: deleted. Changed: edited."""
    client = await site.client()
    key = site.app.oauth.rows.clients.key(client.id)
    before = (await rows(site))[key]
    await site.app.oauth.clients.change(client.id, "test", {"status": "disabled"})
    now = (await rows(site))[key]
    await put(site, puts=[(Table.OAUTH, key, before)])
    assert await found(site.app) == [Kind.ROLLED_BACK]
    await put(site, deletes=[(Table.OAUTH, key)])
    assert await found(site.app) == [Kind.DELETED]
    await put(site, puts=[(Table.OAUTH, key, now[:-1] + bytes([now[-1] ^ 1]))])
    assert await found(site.app) == [Kind.EDITED]
    await put(site, puts=[(Table.OAUTH, key, now)])
    assert await found(site.app) == []


async def test_an_approval_that_was_put_back(site):
    """An approval that ended, with its token: both are found where they were put back."""
    client, ann = await site.client(), await site.person("Ann", "patient", "Patient/ann")
    await site.tokens(client, ann, "patient/*.rs")
    apps, tokens = await rows(site), await rows(site, Table.TOKEN)
    (approval,) = await site.server.endings.of(ann.account)
    await site.server.endings.end_approval(approval.id, "test", "test")
    gone = apps.keys() - (await rows(site)).keys()
    back = [(Table.OAUTH, key, apps[key]) for key in gone]
    back += [(Table.TOKEN, key, row) for key, row in tokens.items() if key not in await rows(site, Table.TOKEN)]
    assert len(back) == 2
    await put(site, puts=back)
    assert await found(site.app) == [Kind.ROLLED_BACK, Kind.ROLLED_BACK]
