"""Refresh, revocation, lifetime: rows R and X-R. Every family ends once, whole, and on every process."""

import asyncio

import pytest

from medlock.audit.events import Action
from medlock.errors import NotAuthenticated
from medlock.oauth.client import Kind
from medlock.oauth.launching import LaunchRequest
from medlock.oauth.lifetimes import DAY, REFRESH_GRACE
from medlock.store.tables import Batch, Table
from smart.world import ANN, DOC, MAY

SCOPE = "launch/patient offline_access patient/Observation.rs patient/Condition.rs"
ONLINE = "launch/patient online_access patient/Observation.rs"


@pytest.fixture
async def app(world):
    return await world.register(Kind.PUBLIC)


def refused(done, code="invalid_grant"):
    """An OAuth error."""
    assert done.status_code in {400, 401}, done.text
    assert done.json()["error"] == code


async def dead(world, *secrets):
    """Whether access tokens are refused, here and in a process that never saw them."""
    _, _, other = world.process()
    for tokens in (world.tokens, other):
        for secret in secrets:
            with pytest.raises(NotAuthenticated):
                await tokens.authenticate(secret)


@pytest.mark.parametrize("kind", list(Kind))
async def test_r_01_to_r_04_r_07_a_refresh(world, kind):
    """R-01 to R-04, R-07: each kind of client gets another token and another refresh token; scopes stay or shrink."""
    app = await world.register(kind)
    first = await world.tokens_for(app, SCOPE)
    done = await world.refresh(app, first["refresh_token"])
    assert done.status_code == 200
    assert "no-store" in done.headers["cache-control"]
    assert "no-cache" in done.headers["pragma"]
    second = done.json()
    assert second["scope"] == first["scope"]
    assert second["token_type"] == "Bearer"
    assert isinstance(second["expires_in"], int)
    assert len({first["access_token"], second["access_token"]}) == 2
    assert len({first["refresh_token"], second["refresh_token"]}) == 2
    third = (await world.refresh(app, second["refresh_token"], scope=first["scope"])).json()
    fourth = (await world.refresh(app, third["refresh_token"], scope="patient/Observation.r")).json()
    assert fourth["scope"] == "patient/Observation.r"
    fifth = (await world.refresh(app, fourth["refresh_token"])).json()
    assert fifth["scope"] == first["scope"]


@pytest.mark.parametrize("token", ["x", "", "a.b.c", "a.b", "." * 300, "é.é.é"])
async def test_r_06_made_up_tokens(world, app, token):
    """R-06: what nobody issued is refused, and ends nothing."""
    first = await world.tokens_for(app, SCOPE)
    refused(await world.refresh(app, token))
    name, secret, mac = first["refresh_token"].split(".")
    for made in (f"{name}.{'x' * 43}.{mac}", f"{name}.{secret}.{'x' * 22}", f"{name}.{'x' * 43}.{'x' * 22}"):
        refused(await world.refresh(app, made))
    assert (await world.refresh(app, first["refresh_token"])).status_code == 200


async def test_r_08_a_hundred_days_and_renewed(world, app):
    """R-08: valid on day 89, and every use gives as long again; a hundred days without use end it."""
    token = (await world.tokens_for(app, SCOPE))["refresh_token"]
    for _ in range(3):
        world.clock.pass_(89 * DAY)
        done = await world.refresh(app, token)
        assert done.status_code == 200
        token = done.json()["refresh_token"]
    world.clock.pass_(100 * DAY)
    refused(await world.refresh(app, token))


async def test_x_r15_an_absolute_end(world, app):
    """X-R15: a year after the approval it is over, however often it was used."""
    token = (await world.tokens_for(app, SCOPE))["refresh_token"]
    for _ in range(7):
        world.clock.pass_(52 * DAY)
        token = (await world.refresh(app, token)).json()["refresh_token"]
    world.clock.pass_(2 * DAY)
    refused(await world.refresh(app, token))


async def test_r_09_the_person_ends_an_app(world, app):
    """R-09: ended on the account page, access and refresh tokens are dead on the next request, on every process."""
    first = await world.tokens_for(app, SCOPE)
    (approval,) = await world.desk.endings.of(ANN.id)
    assert (approval.client, approval.scopes) == (app.id, first["scope"])
    assert await world.desk.endings.end_approval(approval.id, "ended", ANN.id)
    await dead(world, first["access_token"])
    refused(await world.refresh(app, first["refresh_token"]))
    assert await world.desk.endings.of(ANN.id) == []
    assert not await world.desk.endings.end_approval(approval.id, "ended", ANN.id)
    assert world.log.of(Action.OAUTH_END)[-1].request == approval.id


@pytest.mark.parametrize(
    "scope",
    [
        "patient/Observation.cruds",
        "patient/*.rs",
        "openid",
        "offline_access patient/Goal.r",
        "user/Observation.rs",
        "x",
    ],
)
async def test_x_r10_wider_scopes(world, app, scope):
    """X-R10: more than was granted is invalid_scope; the refresh token is not used up by asking."""
    first = await world.tokens_for(app, SCOPE)
    refused(await world.refresh(app, first["refresh_token"], scope=scope), "invalid_scope")
    assert (await world.refresh(app, first["refresh_token"])).status_code == 200


async def test_x_r12_a_replaced_token_again(world, app):
    """X-R12: a token that was replaced ends the family when it comes again; within seconds it is only refused."""
    first = await world.tokens_for(app, SCOPE)
    second = (await world.refresh(app, first["refresh_token"])).json()
    refused(await world.refresh(app, first["refresh_token"]))
    third = (await world.refresh(app, second["refresh_token"])).json()
    world.clock.pass_(REFRESH_GRACE)
    refused(await world.refresh(app, second["refresh_token"]))
    refused(await world.refresh(app, third["refresh_token"]))
    await dead(world, first["access_token"], second["access_token"], third["access_token"])


async def test_x_r12_long_ago(world, app):
    """X-R12: a token replaced many uses ago ends the family too, though nobody keeps a list."""
    first = await world.tokens_for(app, SCOPE)
    token = first["refresh_token"]
    for _ in range(10):
        token = (await world.refresh(app, token)).json()["refresh_token"]
    refused(await world.refresh(app, first["refresh_token"]))
    refused(await world.refresh(app, token))


async def test_another_client_cannot_end_a_family(world, app):
    """Another client's use of a token is refused, and ends nothing."""
    first = await world.tokens_for(app, SCOPE)
    other = await world.register(Kind.PUBLIC)
    refused(await world.refresh(other, first["refresh_token"]))
    assert (await world.refresh(app, first["refresh_token"])).status_code == 200


async def test_x_r13_in_parallel(world, app):
    """X-R13: fifty use one refresh token at two processes: one family goes on."""
    first = await world.tokens_for(app, SCOPE)
    _, other, _ = world.process()
    sites = [world.app, other] * 25
    done = await asyncio.gather(*(world.refresh(app, first["refresh_token"], site) for site in sites))
    won = [each.json() for each in done if each.status_code == 200]
    assert len(won) == 1
    assert all(each.json()["error"] == "invalid_grant" for each in done if each.status_code != 200)
    assert (await world.refresh(app, won[0]["refresh_token"])).status_code == 200


async def test_x_r14_context_again(world):
    """X-R14: a refresh tells the same launch context as the first answer."""
    app = await world.register(Kind.PUBLIC, launch_url="https://app.example.org/launch")
    context = LaunchRequest(app.id, "ann", "e1", "order", "north", banner=False)
    handle = (await world.server.launching.begin(DOC.id, context)).rpartition("launch=")[2]
    first = await world.tokens_for(app, "launch offline_access user/Observation.rs", DOC, launch=handle)
    second = (await world.refresh(app, first["refresh_token"])).json()
    same = ("patient", "encounter", "intent", "tenant", "need_patient_banner", "smart_style_url", "scope")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}


async def test_x_r16_online_ends_with_the_session(world, app):
    """X-R16: online_access refreshes while the person is signed in, and not any more when they are not."""
    first = await world.tokens_for(app, ONLINE)
    second = (await world.refresh(app, first["refresh_token"])).json()
    world.people.sessions.clear()
    refused(await world.refresh(app, second["refresh_token"]))


async def test_x_r17_no_refresh_token_unasked(world, app):
    """X-R17: without offline_access or online_access there is none; nor for a client that may not refresh."""
    assert "refresh_token" not in await world.tokens_for(app, "patient/Observation.rs")
    short = await world.register(Kind.PUBLIC, grants=("authorization_code",))
    assert "refresh_token" not in await world.tokens_for(short, SCOPE)
    refused(await world.refresh(short, "x"), "unauthorized_client")


async def revoke(world, app, token, **more):
    """A token given back."""
    fields, headers = app.credentials(world)
    return await world.post("/oauth/revoke", {"token": token} | fields | more, headers)


@pytest.mark.parametrize("kind", list(Kind))
async def test_x_r18_revocation(world, kind):
    """X-R18: a refresh token given back takes every token of its approval with it; an access token goes alone."""
    app = await world.register(kind)
    first = await world.tokens_for(app, SCOPE)
    second = (await world.refresh(app, first["refresh_token"])).json()
    assert (await revoke(world, app, first["access_token"])).status_code == 200
    await dead(world, first["access_token"])
    assert (await world.tokens.authenticate(second["access_token"])).account == ANN.id
    assert (await revoke(world, app, second["refresh_token"], token_type_hint="access_token")).status_code == 200
    await dead(world, second["access_token"])
    refused(await world.refresh(app, second["refresh_token"]))


async def test_revocation_tells_nothing(world, app):
    """Unknown tokens, and those of others, get the same answer, and others' live on; a stranger gets none."""
    first = await world.tokens_for(app, SCOPE)
    other = await world.register(Kind.SYMMETRIC)
    for token in ("x", first["access_token"], first["refresh_token"]):
        done = await revoke(world, other, token)
        assert (done.status_code, done.content) == (200, b"")
    assert (await world.tokens.authenticate(first["access_token"])).account == ANN.id
    assert (await world.refresh(app, first["refresh_token"])).status_code == 200
    assert (await world.post("/oauth/revoke", {"token": "x"})).status_code == 401
    refused(await revoke(world, app, ""), "invalid_request")


async def test_x_r21_an_account_ends(world, app):
    """X-R21: what an account was given ends with it: access tokens, refresh tokens, a code that was not used yet."""
    first = await world.tokens_for(app, SCOPE)
    code = await world.code(app, SCOPE)
    await world.server.rows.commit(await world.desk.endings.of_account(ANN.id))
    await dead(world, first["access_token"])
    refused(await world.refresh(app, first["refresh_token"]))
    refused(await world.redeem(app, code))


async def test_an_account_that_ends_while_something_is_given(world, app):
    """X-R21: a batch that ends an account, made before an approval came, loses against it; made again, it ends that too."""
    for before in (False, True):
        if before:
            await world.tokens_for(app, SCOPE)
        stale = await world.desk.endings.of_account(ANN.id)
        first = await world.tokens_for(app, SCOPE)
        with pytest.raises(Exception, match="same moment"):
            await world.server.rows.commit(stale)
        await world.server.rows.commit(await world.desk.endings.of_account(ANN.id))
        await dead(world, first["access_token"])


async def test_what_is_given_expects_the_account(world, app):
    """An account whose row changes between our look and our commit gets nothing."""
    code = await world.code(app, SCOPE)
    standing = world.people.standing

    async def changed(account):
        found = await standing(account)
        return type(found)(found.person, Batch(expects=[(Table.IDENTITY, 1, b"as it was")]))

    world.people.standing = changed
    done = await world.redeem(app, code)
    assert (done.status_code, done.json()["error"]) == (503, "temporarily_unavailable")
    with pytest.raises(Exception, match="same moment"):
        await world.approve(app, SCOPE)


async def test_who_stands_in_for_nobody_any_more(world, app):
    """A representative whose time is over refreshes nothing."""
    first = await world.tokens_for(app, SCOPE, MAY, patient="bob")
    world.people.people[MAY.id] = type(MAY)(MAY.id, MAY.name, MAY.roles, MAY.resource, ("ann",))
    refused(await world.refresh(app, first["refresh_token"]))


async def test_an_account_that_is_gone(world, app):
    """An account that may not act any more gets nothing for a code or a refresh token."""
    first = await world.tokens_for(app, SCOPE)
    code = await world.code(app, SCOPE)
    world.people.people.clear()
    refused(await world.refresh(app, first["refresh_token"]))
    refused(await world.redeem(app, code))


async def test_too_many_approvals(world, app, monkeypatch):
    """The one used longest ago makes room, with its tokens."""
    monkeypatch.setattr("medlock.oauth.approving.APPROVALS_MAX", 3)
    got = []
    for _ in range(4):
        world.clock.pass_(1)
        got.append(await world.tokens_for(app, SCOPE))
    await dead(world, got[0]["access_token"])
    refused(await world.refresh(app, got[0]["refresh_token"]))
    assert (await world.refresh(app, got[1]["refresh_token"])).status_code == 200
    assert len(await world.desk.endings.of(ANN.id)) == 3


async def test_what_is_over_is_swept(world, app):
    """Expired rows are deleted, living ones and operators' tokens stay."""
    kept = await world.tokens_for(app, SCOPE)
    await world.tokens_for(app, "patient/Observation.rs")
    await world.begin(app, SCOPE)
    backend = await world.backend_app()
    await world.credentials(backend)
    rows = {table: len(world.disk.rows[table]) for table in (Table.TOKEN, Table.OAUTH, Table.ONCE)}
    assert await world.desk.sweeper.sweep() == 0
    world.clock.pass_(7200)
    assert await world.desk.sweeper.sweep() > 0
    assert len(world.disk.rows[Table.ONCE]) == 0
    assert len(world.disk.rows[Table.TOKEN]) == 0
    assert len(world.disk.rows[Table.OAUTH]) == rows[Table.OAUTH] - 2
    assert (await world.refresh(app, kept["refresh_token"])).status_code == 200


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_refresh_token_says_whose_it_is(world, kind):
    """A public client that does not repeat its name (fhirclient.js) is known by its token; others still prove theirs."""
    app = await world.register(kind)
    first = await world.tokens_for(app, SCOPE)
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    done = await world.post("/oauth/token", form)
    if kind is not Kind.PUBLIC:
        refused(done, "invalid_client")
        return
    assert done.status_code == 200
    for made_up in (first["refresh_token"][:-4] + "AAAA", "a.b.c", "", done.json()["access_token"]):
        refused(await world.post("/oauth/token", {**form, "refresh_token": made_up}), "invalid_client")
    refused(await world.post("/oauth/token", {**form, "client_id": "somebody-else"}), "invalid_client")
