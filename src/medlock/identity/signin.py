"""Sign-in, from nobody to somebody. Each method is one step of a person at the sign-in page.

The order in every step is the same, and is what makes it safe:

    1  count the attempt in the store              `lockout`: before anything is looked at; refuses when it cannot
    2  verify                                      a factor; an account that is not there costs the same
    3  write down what failed, or
    4  judge what was proven so far                `entering`: in, pending, or in to enrol only

Nobody learns from an answer, its status or its time whether there is such an account: who is not there, is disabled or
has no password is verified against a hash that is nobody's and told the same sentence.
"""

from __future__ import annotations

from dataclasses import replace

from medlock.audit.events import Action, Outcome
from medlock.errors import BadRequest, Conflict, NotAuthenticated, Raced, TooMany
from medlock.identity.account import Account, Status, canonical_login
from medlock.identity.burst import Burst
from medlock.identity.entering import Arrival, Desk, Proofs, enter
from medlock.identity.factors.shape import REFUSED, Answer, Kind, Offer, Proof
from medlock.identity.ground import Ground, Place, again
from medlock.identity.invitations import Invitations
from medlock.identity.lockout import Guess, Waits
from medlock.identity.pending import Pending, PendingRow
from medlock.identity.sessions import Proven
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

INVITED = Proven(("inv",), "aal1", unsettled=True)
_LOGIN_MAX = 254


class SignIn:
    """The steps."""

    def __init__(self, ground: Ground, desk: Desk, invitations: Invitations) -> None:
        self._ground = ground
        self._desk = desk
        self._invitations = invitations
        self._burst = Burst(ground.clock)

    async def password(self, login: str, password: str, place: Place) -> Arrival | Pending:
        """The first factor by password. Raises NotAuthenticated, Waits, Unavailable."""
        proof, guess = await self._guess(Kind.PASSWORD, login, password, place)
        return await enter(self._desk, Proofs([proof], guess.settling), place)

    async def code(self, pending: str, code: str, place: Place) -> Arrival | Pending:
        """The second factor by an authenticator app. Raises NotAuthenticated, Waits, Suspended, Unavailable."""
        return await self._second(Kind.TOTP, pending, code, place)

    async def recovery(self, pending: str, login: str, code: str, place: Place) -> Arrival | Pending:
        """A recovery code: in place of the second factor, or (`pending` "") with the user name alone.

        Raises NotAuthenticated, Waits, Suspended, Unavailable.
        """
        if pending:
            return await self._second(Kind.RECOVERY, pending, code, place)
        proof, guess = await self._guess(Kind.RECOVERY, login, code, place)
        return await enter(self._desk, Proofs([proof], guess.settling), place)

    async def passkey_options(self, place: Place) -> Offer:
        """What `navigator.credentials.get` is asked: any passkey of this site."""
        return await self._desk.kit.passkey.challenge("", place.browser)

    async def passkey(self, ticket: str, credential: str, place: Place) -> Arrival | Pending:
        """A passkey's answer. Raises NotAuthenticated (UnknownPasskey with its signal), Unavailable.

        Not counted and not made to wait: there is nothing to guess, and nobody is to be kept from a passkey by others.
        """
        answer = Answer(credential, ticket, place.browser)
        try:
            proof = await self._desk.kit.passkey.verify("", answer)
        except NotAuthenticated as refusal:
            await self._strange(place, refusal.reason)
            raise
        return await self._unless_disabled(proof, place)

    async def join(self, code: str, login: str, birth: str, place: Place) -> Arrival:
        """An invitation is taken up; a session that may only enrol. Raises NotAuthenticated, Waits, Conflict."""
        counted = await self._counted_join(place)
        try:
            held, taken = await self._invitations.take(code, login, birth)
        except NotAuthenticated as refusal:
            await self._failed(None, "invitation", place, refusal.reason)
            raise
        except TooMany as refusal:
            await self._waits("", "invitation", refusal)
            raise
        try:
            await self._ground.backend.commit(taken.batch + await self._reset(held.value, reset=taken.reset))
        except Raced:
            raise Conflict("This user name is taken, or the code was just used. Try another user name.") from None
        await self._desk.lockout.joined(counted)  # not before: user names are not found out by trying them here
        remembered, device, secret = await self._desk.devices.remember(held.value.id, place)
        standing = await self._desk.accounts.standing(held.value.id)
        begun = await self._desk.sessions.start(standing, replace(INVITED, device=device), place, remembered)
        return Arrival(begun.secret, begun.session, secret)

    async def _guess(self, kind: Kind, login: str, secret: str, place: Place) -> tuple[Proof, Guess]:
        """Something that is tried with a user name alone: counted, verified, and written down when it is wrong."""
        form = _form(login)
        held = await self._desk.accounts.by_login(form)
        name = held.value.id if held is not None and held.value.status is Status.ACTIVE else ""
        device = await self._desk.devices.find(name, place.device)
        counted = form if kind is Kind.PASSWORD else f"{kind}\n{form}"
        try:
            guess = await self._desk.lockout.guess(counted, place.address, device)
        except Waits as waits:
            await self._waits(name, kind, waits)
            raise
        try:
            proof = await self._desk.kit.of(kind).verify(name, Answer(secret, browser=place.browser))
        except NotAuthenticated as refusal:
            await self._failed(held.value if held else None, kind, place, refusal.reason, waits=guess.waits)
            raise
        await self._desk.lockout.right(guess)
        return proof, guess

    async def _second(self, kind: Kind, secret: str, code: str, place: Place) -> Arrival | Pending:
        """A code that completes a pending sign-in."""
        pending = await self._desk.pendings.find(secret, place)
        row = pending.value
        await self._counted_code(row.account, kind, pending)
        try:
            proof = await self._desk.kit.of(kind).verify(row.account, Answer(code, browser=place.browser))
        except NotAuthenticated as refusal:
            account = (await self._desk.accounts.standing(row.account)).value
            await self._failed(account, kind, place, refusal.reason)
            raise
        await self._desk.lockout.code_right(row.account, kind.value)
        given = [*(each.proof(row.account) for each in row.given), proof]
        return await enter(self._desk, Proofs(given, row.settling, self._desk.pendings.close(pending)), place)

    async def _counted_code(self, account_id: str, kind: Kind, pending: Held[PendingRow]) -> None:
        """Count a code; when no more may be tried, the sign-in that asked for it is over. Raises Waits, Suspended."""
        try:
            await self._desk.lockout.code(account_id, kind.value)
        except TooMany as refusal:
            await self._desk.pendings.kill(pending)
            await self._waits(account_id, kind, refusal)
            raise

    async def _counted_join(self, place: Place) -> tuple[int, ...]:
        try:
            return await self._desk.lockout.join(place.address)
        except Waits as waits:
            await self._waits("", "invitation", waits)
            raise

    async def _unless_disabled(self, proof: Proof, place: Place) -> Arrival | Pending:
        """Let in by a passkey, with the sentence of all refusals when the account may not act."""
        try:
            return await enter(self._desk, Proofs([proof]), place)
        except NotAuthenticated as refusal:
            await self._failed(None, Kind.PASSKEY, place, refusal.reason)
            raise NotAuthenticated(REFUSED, reason=refusal.reason) from None

    async def _reset(self, account: Account, *, reset: bool) -> Batch:
        """Everything that an account in use could be proven with, taken away; its browsers are strangers again."""
        batch = self._desk.devices.forget(account.id)
        if reset:
            event = self._ground.event(Action.FACTOR_REMOVE, account.id, account.id, "all factors: reset by a code")
            batch += await self._desk.kit.of_account(account.id) + Batch(entries=self._ground.log.seal(event))
        return batch

    async def _failed(
        self, account: Account | None, how: str, place: Place, reason: str, *, waits: bool = False
    ) -> None:
        """Write it down, for the log and for the owner. Raises Unavailable.

        What was meant for nobody goes into a row that is nobody's: the same work, so the same time.
        """
        name = account.id if account else ""
        about = f"{how} from {place.address or 'an unknown address'}"
        events = [self._ground.event(Action.SIGN_IN_FAILED, name, name, about, outcome=Outcome.DENIED, reason=reason)]
        if waits:
            events.append(self._ground.event(Action.SIGN_IN_WAITS, name, name, about, outcome=Outcome.DENIED))

        async def once() -> None:
            await self._ground.commit(await self._desk.book.failed(name, how, place), *events)

        try:
            await again(once)
        except Raced:  # so many at once that the owner need not see each; the log does
            await self._ground.commit(Batch(), *events)

    async def _strange(self, place: Place, reason: str) -> None:
        """Write down a passkey that is none, unless there were too many of them this minute. Raises Unavailable."""
        before = self._burst.take()
        if before is not None:
            told = f"{reason}; {before} more were refused and not written down" if before else reason
            await self._failed(None, Kind.PASSKEY, place, told)

    async def _waits(self, account_id: str, how: str, refusal: TooMany) -> None:
        """Write down the first attempt that is refused unseen. Not every one: a flood would fill the log."""
        if isinstance(refusal, Waits) and not refusal.began:
            return
        event = self._ground.event(
            Action.SIGN_IN_WAITS, account_id, account_id, how, outcome=Outcome.DENIED, reason=refusal.reason
        )
        await self._ground.commit(Batch(), event)


def _form(login: str) -> str:
    """A user name in the form that is looked up and counted, even if nobody can have it."""
    try:
        return canonical_login(login)
    except BadRequest:
        return login[:_LOGIN_MAX].casefold().encode(errors="replace").decode()
