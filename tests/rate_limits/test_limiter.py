"""Quotas: exact alone and together, by who asks and not from where, weighed, open when their counter is away."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.access.principal import Role
from medlock.errors import SetupError, Throttled
from medlock.fhir.question import EXPORTS, Interaction, Question
from medlock.fhir.request import Frame, Request, parse
from medlock.settings import Quota, Rates, rates_of
from medlock.web.costs import EVERYTHING, EXPORT, SEARCH, WEIGHTS, patient_named, weight
from medlock.web.limits.limiter import PATIENCE
from medlock.web.limits.purse import SHARES
from rate_limits.world import Counter, Ears, Hand, caller, limiter


async def admitted(limits, principal, times, weigh=1):
    """How many of so many requests, one after another, were let through."""
    through = 0
    for _ in range(times):
        try:
            if weigh > 1 or limits.at_once(principal) is None:
                await limits.charge(principal, weigh)
        except Throttled:
            continue
        through += 1
    return through


async def test_a_quota_is_exact_and_begins_anew():
    """So many in a window and not one more; after its end as many again; the first refusal is noted, all are counted."""
    clock, ears = Hand(), Ears()
    limits = limiter("user=7/m", clock, ears=ears)
    assert await admitted(limits, caller(), 12) == 7
    clock.ms += 59_999
    assert await admitted(limits, caller(), 3) == 0
    clock.ms += 1
    assert await admitted(limits, caller(), 12) == 7
    assert len(ears.refusals) == 5 + 3 + 5
    assert ears.noted == [("user", "dr", "dr", "")] * 2


async def test_what_is_left_is_told():
    """RateLimit counts down and its time does too; a refusal says when to come back, in whole seconds."""
    clock = Hand()
    limits = limiter("user=3/m", clock)
    assert await limits.charge(caller(), 1) == b'"user";r=2;t=60'
    clock.ms += 30_500
    assert await limits.charge(caller(), 1) == b'"user";r=1;t=30'
    assert limits.at_once(caller()) == b'"user";r=0;t=30'
    with pytest.raises(Throttled) as refusal:
        await limits.charge(caller(), 1)
    assert (refusal.value.retry_after, refusal.value.policy) == (30, b'"user";q=3;w=60')


async def test_accounts_do_not_share():
    """One account's excess is not another's, with the same app and from the same address."""
    limits = limiter("user=5/m app=1000/m")
    assert await admitted(limits, caller("a", client="app"), 50) == 5
    assert await admitted(limits, caller("b", client="app"), 50) == 5


async def test_programs_have_quotas_of_their_own():
    """A backend and a loader are counted as such, an app over all its people, and a patient by whoever is held to them."""
    limits = limiter("user=1/m backend=3/m loader=9/m app=4/m patient=2/m")
    assert await admitted(limits, caller("b", Role.BACKEND), 20) == 3
    assert await admitted(limits, caller("l", Role.LOADER), 20) == 9
    assert sum([await admitted(limits, caller(f"u{n}", client="x"), 1) for n in range(9)]) == 4
    assert sum([await admitted(limits, caller(f"p{n}", patient="p"), 1) for n in range(9)]) == 2


async def test_a_patient_is_counted_by_whoever_names_them():
    """Two people who read one patient share that patient's quota; another patient's is untouched."""
    limits = limiter("user=100/m patient=4/m")
    for who in ("a", "b", "a", "b"):
        if not limits.rest_at_once(caller(who), 1, "p1"):
            await limits.rest(caller(who), 1, "p1")
    assert not limits.rest_at_once(caller("a"), 1, "p1")
    with pytest.raises(Throttled) as refusal:
        await limits.rest(caller("a"), 1, "p1")
    assert refusal.value.quota == "patient"
    await limits.rest(caller("a"), 1, "p2")


async def test_all_or_nothing():
    """A request that one quota refuses is charged to none."""
    limits = limiter("user=10/m patient=1/m")
    await limits.charge(caller(), 1, "p")
    with pytest.raises(Throttled):
        await limits.charge(caller(), 1, "p")
    assert await admitted(limits, caller(), 20) == 9


async def test_a_request_heavier_than_the_quota_can_be_asked():
    """It counts as half of the quota: two in a window, and then none."""
    assert await admitted(limiter("user=60/m"), caller(), 5, weigh=5_000) == 2


@given(workers=st.integers(2, 5), amount=st.integers(1, 300), asks=st.integers(1, 150), weigh=st.integers(1, 7))
@settings(max_examples=40)
def test_workers_together_never_admit_more(workers, amount, asks, weigh):
    """Whatever the interleaving, all workers let through no more than the quota, and waste at most a share each."""

    async def run():
        shared, clock = Counter(pause=True), Hand()
        crew = [limiter(f"user={amount}/m", clock, shared) for _ in range(workers)]
        counts = await asyncio.gather(*(admitted(each, caller(), asks, weigh) for each in crew))
        one = min(weigh, max(1, amount // 2))
        asked, used = workers * asks * one, sum(counts) * one
        assert used <= amount
        share = -(-amount // SHARES)
        assert used >= min(asked, amount - share - workers * (share + one) + 1) or used + one > amount

    asyncio.run(run())


async def test_many_at_once_in_one_worker():
    """A hundred requests that wait for the same share get no more than there is, and ask the counter little."""
    shared = Counter(pause=True)
    limits = limiter("user=64/m", shared=shared)
    done = await asyncio.gather(*(limits.charge(caller(), 1) for _ in range(80)), return_exceptions=True)
    assert sum(isinstance(each, bytes) for each in done) == 64
    assert shared.asked <= SHARES + 1


async def test_waiters_take_turns():
    """Waiters for whom a share was too small ask again and let others run meanwhile (they once did not)."""
    limits = limiter("user=640/m", shared=Counter(pause=True))
    done = await asyncio.wait_for(
        asyncio.gather(*(limits.charge(caller(), 7) for _ in range(100)), return_exceptions=True), 20
    )
    assert sum(isinstance(each, bytes) for each in done) in {90, 91}


async def test_whoever_is_refused_costs_the_counter_nothing():
    """After the first refusal of a window the shared counter is not asked again."""
    shared = Counter()
    limits = limiter("user=10/m", shared=shared)
    await admitted(limits, caller(), 11)
    before = shared.asked
    assert await admitted(limits, caller(), PATIENCE - 1) == 0
    assert shared.asked == before


async def test_whoever_goes_on_waits(monkeypatch):
    """The first refusals come at once, further ones after a while, up to a bound of those who wait."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr("medlock.web.limits.limiter.asyncio.sleep", sleep)
    limits = limiter("user=2/m")
    await admitted(limits, caller(), 2 + PATIENCE)
    assert waits == []
    await admitted(limits, caller(), 7)
    assert waits == [0.0] * 7  # as long as conftest.py says
    monkeypatch.setattr("medlock.web.limits.limiter.SLOWED_MAX", 0)
    await admitted(limits, caller(), 7)
    assert len(waits) == 7


async def test_a_counter_that_is_away_opens_and_alarms():
    """Each worker goes on by itself with the whole quota, says so, and is bounded all the same; then they share again."""
    shared, clock, ears = Counter(), Hand(), Ears()
    shared.away = True
    limits = limiter("user=10/m", clock, shared, ears)
    assert await admitted(limits, caller(), 30) == 10
    assert ears.times_alone == 1
    shared.away = False
    clock.ms += 60_000
    assert await admitted(limits, caller(), 30) == 10
    assert (ears.times_alone, shared.asked > 1) == (1, True)


async def test_a_counter_that_hangs_is_away(monkeypatch):
    """A request waits for the counter for a bounded time."""

    class Hung:
        async def count(self, *_):
            await asyncio.Event().wait()

    monkeypatch.setattr("medlock.web.limits.shares.WAIT_SECONDS", 0.01)
    ears = Ears()
    assert await admitted(limiter("user=10/m", shared=Hung(), ears=ears), caller(), 3) == 3
    assert ears.times_alone == 1


async def test_keys_are_bounded(monkeypatch):
    """Past the bound new addresses share one purse; those who were there before keep theirs."""
    monkeypatch.setattr("medlock.web.limits.limiter.KEYS_MAX", 3)
    limits = limiter("anonymous=2/m")
    for address in ("a", "b", "c"):
        await limits.charge_key("anonymous", address)
    await limits.charge_key("anonymous", "d")
    await limits.charge_key("anonymous", "e")
    with pytest.raises(Throttled):
        await limits.charge_key("anonymous", "f")
    await limits.charge_key("anonymous", "a")
    assert len(limits._purses["anonymous"]) <= 4


def asked(method, path, query=b"", body=b""):
    """A question."""
    headers = {b"content-type": b"application/fhir+json", b"prefer": b"respond-async"}
    return parse(Request(method, path, query, headers, body), Frame(0, 1000, "https://x/fhir"))


def test_weights():
    """A read is one; a search, $everything and an export weigh what they can take out; every interaction has a weight."""
    assert set(WEIGHTS) == set(Interaction)
    assert weight(asked("GET", b"/Patient/p")) == 1
    assert weight(asked("GET", b"/Patient", b"name=x")) == SEARCH == 5
    assert weight(asked("GET", b"/Patient/p/$everything")) == EVERYTHING == 50
    assert (
        weight(asked("GET", b"/Observation", b"code=x&_include=Observation:subject&_revinclude=Provenance:target"))
        == 15
    )
    assert weight(asked("GET", b"/Observation", b"subject:Patient.name=x&_count=1000")) == 5 + 5 + 50
    assert weight(asked("GET", b"/", b"_type=Patient,Observation,Encounter&_id=x")) == 15
    assert {weight(Question(each)) for each in EXPORTS} == {EXPORT} == {200}


def test_a_bundle_weighs_its_entries():
    """A batch is no cheaper than its parts, however their methods and addresses are written."""
    entries = (
        b'{"request":{"method":"GET","url":"Patient?name=x"}},{"request":{"method":"\\u0047ET","url":"Patient?name=x"}},'
        b'{"request":{"method":"GET","url":"Patient/p/$everything"}},{"request":{"method":"GET","url":"Patient/p"}},'
        b'{"request":{"method":"POST","url":"Patient"}}'
    )
    body = b'{"resourceType":"Bundle","type":"batch","entry":[' + entries + b"]}"
    assert weight(asked("POST", b"/", body=body)) == 1 + 5 + 5 + 50 + 1 + 1
    assert weight(Question(Interaction.BATCH, body=b"{")) == 1
    heavy = b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Observation?subject%2Ename=x&_include=a:b&_count=9&code=http://a.b|c"}}]}'
    assert weight(asked("POST", b"/", body=heavy)) == 1 + 4 * SEARCH


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        (b"/Patient/p", b"", "p"),
        (b"/Observation/o", b"", ""),
        (b"/Observation", b"patient=p", "p"),
        (b"/Observation", b"subject=Patient/p", "p"),
        (b"/Observation", b"subject=Group/g", ""),
        (b"/Observation", b"patient=p,q", ""),
        (b"/Patient/p/Observation", b"", "p"),
        (b"/Patient/p/$everything", b"", "p"),
    ],
)
def test_the_patient_that_a_question_names(path, query, named):
    """In the address or as one value of patient or subject; several are nobody's."""
    assert patient_named(asked("GET", path, query)) == named


def test_rates_are_read_or_refused():
    """Each class by name, amount and unit; `off`; anything else is a sentence for the operator."""
    assert rates_of("user=5/s  token=off").user == Quota(5, 1)
    assert rates_of("token=off").token.amount == 0
    assert rates_of("") == Rates()
    for wrong in ("user", "user=5", "user=0/m", "nobody=5/m", "user=5/w", "all=5/m", "user=-1/m", "user=5/m,token=3/m"):
        with pytest.raises(SetupError):
            rates_of(wrong)
