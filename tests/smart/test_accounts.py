"""Apps and the accounts of identity: what is done to an account acts on what apps were given, on the next request."""

import pytest

from medlock.errors import NotAuthenticated
from medlock.identity.account import Proxy
from medlock.identity.accounts import Accounts, NewAccount
from medlock.identity.ground import Place, again, ground
from medlock.identity.sessions import Proven, Sessions
from medlock.oauth.client import Kind
from medlock.oauth.people import AccountPeople
from medlock.store.keyring import TenantKeys
from smart.world import Session, World, answer

SCOPE = "openid fhirUser launch/patient offline_access patient/Observation.rs"


class House(World):
    """A world whose people are accounts with sessions."""

    def __post_init__(self):
        self.people = None
        super().__post_init__()

    def process(self):
        backend_of = super().process()
        server = backend_of[0]
        on = ground(server.rows.backend, TenantKeys(bytes(range(32))), self.clock, self.log)
        self.sessions = Sessions(on)
        self.accounts = Accounts(on, (self.sessions, server.endings))
        self.people, self.sittings = AccountPeople(self.accounts, self.clock), self.sessions
        return super().process()

    async def join(self, name, roles, resource, **more):
        """An account that may act, and a session of it."""
        account = await self.accounts.create(NewAccount(name, roles, resource=resource, **more), "test")

        async def taken():
            batch, _ = self.accounts.take_up(await self.accounts.held(account.id), f"{account.id}@example.org")
            await self.server.rows.commit(batch)

        await again(taken)
        return account.id

    async def arrive(self, account):
        """A session."""
        held = await self.accounts.held(account)
        return (await self.sessions.start(held, Proven(("pwd", "otp"), "multi-factor"), Place("192.0.2.1"))).session

    async def flow(self, app, session, patient="", scope=SCOPE):
        """The token answer of a whole flow in a session."""
        asked = await self.server.authorize.begin(self.asking(app, scope), session)
        chosen = tuple(line.scope for line in asked.view.lines)
        found = answer(await self.server.authorize.decide(asked.handle, session, chosen, patient))
        return (await self.redeem(app, found["code"])).json()


@pytest.fixture
def house():
    return House()


@pytest.fixture
async def app(house):
    return await house.register(Kind.PUBLIC)


async def dead(house, app, got):
    """Whether access and refresh token are refused, in a process that never saw them too."""
    _, _, other = house.process()
    for tokens in (house.tokens, other):
        with pytest.raises(NotAuthenticated):
            await tokens.authenticate(got["access_token"])
    assert (await house.refresh(app, got["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_account_stands_behind_the_token(house, app):
    """Role, own record and strength come from account and session."""
    ann = await house.join("Ann", ("patient",), "Patient/ann")
    got = await house.flow(app, await house.arrive(ann))
    who = await house.tokens.authenticate(got["access_token"])
    assert (who.account, who.patient, who.fhir_user) == (ann, "ann", "Patient/ann")
    assert (who.amr, who.acr) == (("pwd", "otp"), "multi-factor")
    assert (await house.refresh(app, got["refresh_token"])).status_code == 200


@pytest.mark.parametrize("how", ["disabled", "roles", "proxies"])
async def test_x_r21_what_is_done_to_an_account(house, app, how):
    """X-R21: disabled, given another role, or another record to stand in for: all that apps had is dead at once."""
    doc = await house.join("Doc", ("clinician",), "Practitioner/doc")
    got = await house.flow(app, await house.arrive(doc), "ann")
    asked = await house.server.authorize.begin(house.asking(app, SCOPE), await house.arrive(doc))
    if how == "disabled":
        await house.accounts.disable(doc, "test")
    elif how == "roles":
        await house.accounts.set_roles(doc, ("front-desk",), "test")
    else:
        await house.accounts.dismiss(doc, "nobody", "test")
    await dead(house, app, got)
    assert await house.server.endings.of(doc) == []
    if how == "disabled":
        with pytest.raises(NotAuthenticated):
            await house.server.authorize.decide(asked.handle, Session(doc), ("openid",), "ann")


async def test_x_r16_online_ends_with_the_session(house, app):
    """X-R16: signed out, an app with online_access refreshes nothing any more; another session of theirs does not help."""
    ann = await house.join("Ann", ("patient",), "Patient/ann")
    session = await house.arrive(ann)
    got = await house.flow(app, session, scope="online_access patient/Observation.rs")
    second = (await house.refresh(app, got["refresh_token"])).json()
    await house.arrive(ann)
    await house.sessions.end(ann, session.id)
    assert (await house.refresh(app, second["refresh_token"])).json()["error"] == "invalid_grant"


async def test_standing_in_runs_out(house, app):
    """A representative with a date: until then the record can be chosen, afterwards it can neither be chosen nor refreshed."""
    may = await house.join("May", ("patient",), "RelatedPerson/may")
    now = house.clock.now_ms()
    await house.accounts.represent(may, Proxy("bob", "RelatedPerson/may", now, now + 3_600_000, now, "clinic"), "test")
    got = await house.flow(app, await house.arrive(may))
    assert got["patient"] == "bob"
    house.clock.pass_(3601)
    assert (await house.refresh(app, got["refresh_token"])).json()["error"] == "invalid_grant"
    session = await house.arrive(may)
    asked = await house.server.authorize.begin(house.asking(app, SCOPE), session)
    assert asked.view.patients == ()
    with pytest.raises(Exception, match="Choose whose record"):
        await house.server.authorize.decide(asked.handle, session, ("patient/Observation.rs",))
