"""The opening of a share link: a disclosure to whoever has address and passcode, decided anew each time.

In this order, and nowhere else:
 1. count the attempt, by the whole address, whether there is such a link or not (`store.counting`);
 2. look for the link, and check passcode and secret: where there is none, against a hash that nobody knows;
 3. take its use: a link that opens once is marked in a commit that expects it unopened;
 4. see that its maker may still act for the patient, and ask the door, as a Principal of its own: role, the patient's
    consent, the log, as for anybody;
 5. encrypt what came back, for the key that is in the link.

A receiver that takes no file of that length in the manifest fetches it once at another address: then it is made anew.

Whatever is wrong in 2, 3 or 4 is one answer. After `ATTEMPTS` wrong ones an address answers no more, for as long
as a link may live; what was right does not count. An address with another secret is another address: who has only heard
of a link cannot use up its attempts, and what they tried is forgotten after a quarter of an hour.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from medlock.access.principal import Principal
from medlock.audit.events import Action, Outcome
from medlock.crypto.aead import Aead
from medlock.crypto.jwe import encrypted
from medlock.crypto.kdf import extract
from medlock.crypto.passwords import nobodys_hash
from medlock.errors import BadRequest, Denied, Gone, MedlockError, NotAuthenticated, NotFound, Raced, Tampered, TooLarge
from medlock.fhir.bundle import collection
from medlock.fhir.request import Frame, Request, parse
from medlock.ids import random_bytes
from medlock.oauth.rows import Mark, ShareLink
from medlock.oauth.sharelinks import told
from medlock.oauth.tokens import holder_of
from medlock.rights.links import PASSCODE_MAX, SECONDS_MAX, Ground, digest_of, file_key, names
from medlock.rights.sharing import Door
from medlock.settings import MIB
from medlock.store.cabinet import Held, named

ATTEMPTS: Final = 10
FILE_BYTES_MAX: Final = 16 * MIB
RECIPIENT_MAX: Final = 100
_CONTENT: Final = "application/fhir+json;fhirVersion=4.0.1"
_PAGE: Final = b"_count=1000"
_PAGES_MAX: Final = 50
_NAME_MAX: Final = 100
TICKET_SECONDS: Final = 600
STRANGE_SECONDS: Final = 900
"""So long attempts are counted at an address that is no link's: nothing can be guessed there but 256 bits."""


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """What a receiving application sends (SMART Health Links §"Manifest Request")."""

    recipient: str
    passcode: str = ""
    embedded_length_max: int = 0


class LinkRefused(MedlockError):
    """Any reason for which a link does not open. `left`: attempts that remain (0: it answers no more)."""

    http_status = 401

    def __init__(self, reason: str, left: int) -> None:
        super().__init__("This link and passcode open nothing. Ask who gave you the link.", reason=reason)
        self.left = left
        if not left:
            self.http_status = 404


class _Ticket(msgspec.Struct, frozen=True, array_like=True):
    """Who fetches a file, and until when (ms); `nonce` tells two of them apart."""

    recipient: str
    until: int
    nonce: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Ticket).decode


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One that was counted under `counter`; `left` would remain if it is wrong."""

    counter: int
    left: int


class Opening:
    """Opens links. `base_url` and `page_size` are the FHIR API's."""

    def __init__(self, on: Ground, door: Door, base_url: str) -> None:
        self._on = on
        self._door = door
        self._base = base_url
        self._nobodys = nobodys_hash()
        self._tickets = Aead(extract(on.pepper, b"medlock/1/share-link-ticket"))

    async def open(self, name: str, asked: Manifest) -> dict[str, Any]:
        """The manifest, its one file in it. Raises LinkRefused, Unavailable, TooLarge, BadRequest."""
        if not asked.recipient.strip() or len(asked.recipient) > RECIPIENT_MAX or not asked.recipient.isprintable():
            raise BadRequest(f"Say who receives this: recipient, 1 to {RECIPIENT_MAX} characters.")
        id_, _, hidden = name[:_NAME_MAX].partition(".")
        attempt = await self._counted(id_, hidden)  # 1
        held = await self._proven(id_, hidden, asked.passcode, attempt)  # 2
        taken = await self._taken(held, attempt)  # 3
        try:
            file = await self._file(taken.value, asked.recipient, hidden)  # 4, 5
        except NotFound as fault:
            await self._give_back(taken)
            raise LinkRefused(f"share link {id_}: {fault.reason}", attempt.left) from None
        except MedlockError:
            await self._give_back(taken)
            await self._on.rows.backend.refund([attempt.counter])
            raise
        await self._on.rows.backend.refund([attempt.counter])
        where = {"embedded": file}
        if 0 < asked.embedded_length_max < len(file):
            where = {"location": f"{self._on.issuer}/shl/{name}/{self._ticket(id_, asked.recipient)}"}
        status = "can-change" if taken.value.lasting else "finalized"
        return {"status": status, "files": [{"contentType": _CONTENT} | where]}

    async def fetch(self, name: str, ticket: str) -> str:
        """The file that a manifest sent somebody to, once, within minutes. Raises LinkRefused, TooLarge."""
        id_, _, hidden = name[:_NAME_MAX].partition(".")
        rows, asked = self._on.rows, self._opened(id_, ticket)
        held = await rows.links.get(rows.links.key(id_))
        now = rows.clock.now_ms()
        if held is None or not names(held.value, hidden) or now >= min(asked.until, held.value.expires):
            raise LinkRefused(f"share link {id_}: ended, or its file was not fetched in time", 0)
        mark = rows.marks.insert(rows.marks.key("share-link-file", id_, asked.nonce), Mark(asked.until))
        try:
            await rows.commit(mark)
            return await self._file(held.value, asked.recipient, hidden)
        except (Raced, NotFound) as fault:
            raise LinkRefused(f"share link {id_}: a file fetched twice, or {fault.reason}", 0) from None

    async def _file(self, link: ShareLink, recipient: str, hidden: str) -> str:
        """What the link shows now, encrypted for the key in it. Raises NotFound, TooLarge."""
        await self._stands(link)
        content = await self._content(holder_of(link, f"recipient: {recipient}"))
        return encrypted(file_key(self._on.pepper, hidden), content, _CONTENT)

    async def _stands(self, link: ShareLink) -> None:
        """Return when who made a link may still act for its patient, as for tokens. Raises NotFound."""
        try:
            mine = (await self._on.people.standing(link.by)).person.patients if link.by else (link.patient,)
        except NotAuthenticated as refusal:
            raise NotFound("There is nothing.", reason=refusal.reason) from None
        if link.patient not in mine:
            raise NotFound("There is nothing.", reason="who made it stands in for the patient no more")

    def _ticket(self, id_: str, recipient: str) -> str:
        """What fetches the file of one manifest: sealed, for this link, good for minutes."""
        until = self._on.rows.clock.now_ms() + TICKET_SECONDS * 1_000
        sealed = self._tickets.seal(_encode(_Ticket(recipient, until, random_bytes(8))), id_.encode())
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _opened(self, id_: str, ticket: str) -> _Ticket:
        """What a ticket says. Raises LinkRefused."""
        try:
            sealed = urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
            return _decode(self._tickets.open(sealed, id_.encode()))
        except (ValueError, Tampered):
            raise LinkRefused(f"share link {id_}: no ticket of ours", 0) from None

    async def failed(self, link: ShareLink) -> int:
        """How many attempts at a link were wrong: for its owner's list."""
        ((count, _),) = await self._on.rows.backend.peek([self._counter(link.id, link.digest)])
        return count

    async def _counted(self, id_: str, hidden: str) -> _Attempt:
        rows, counter = self._on.rows, self._counter(id_, digest_of(hidden))
        held = await rows.links.get(rows.links.key(id_))
        seconds = SECONDS_MAX if held is not None and names(held.value, hidden) else STRANGE_SECONDS
        ((count, _),) = await rows.backend.bump([counter], rows.clock.now_ms(), [seconds * 1_000])
        if count > ATTEMPTS:
            raise LinkRefused(f"share link {id_}: too many attempts", 0)
        return _Attempt(counter, ATTEMPTS - count)

    def _counter(self, id_: str, digest: bytes) -> int:
        return named(self._on.rows.labels, "share-link-attempts", id_, digest)

    async def _proven(self, id_: str, hidden: str, passcode: str, attempt: _Attempt) -> Held[ShareLink]:
        """The link that address and passcode belong to; the same work where there is none."""
        rows = self._on.rows
        held = await rows.links.get(rows.links.key(id_))
        encoded = self._nobodys if held is None else held.value.passcode
        try:
            right = await self._on.hashing.matches(encoded, passcode[: PASSCODE_MAX + 1])
        except BadRequest:  # a character that no keyboard sends
            right = False
        if held is None or not names(held.value, hidden) or not right:
            raise LinkRefused(f"share link {id_}: unknown, or a wrong passcode", attempt.left)
        if rows.clock.now_ms() >= held.value.expires:
            raise LinkRefused(f"share link {id_}: expired", attempt.left)
        return held

    async def _taken(self, held: Held[ShareLink], attempt: _Attempt) -> Held[ShareLink]:
        """The link with this use of it marked. Of many at once one takes it."""
        link = held.value
        if link.lasting:
            return held
        if link.used:
            raise LinkRefused(f"share link {link.id}: used before", attempt.left)
        try:
            return await self._changed(held, self._on.rows.clock.now_ms(), Outcome.SUCCESS)
        except Raced:
            raise LinkRefused(f"share link {link.id}: used or ended this moment", attempt.left) from None

    async def _give_back(self, taken: Held[ShareLink]) -> None:
        """Nothing was shown, so the link may be opened again."""
        if not taken.value.lasting:
            try:
                await self._changed(taken, 0, Outcome.FAILED)
            except Raced:
                return  # ended meanwhile

    async def _changed(self, held: Held[ShareLink], used: int, outcome: Outcome) -> Held[ShareLink]:
        rows = self._on.rows
        link = msgspec.structs.replace(held.value, used=used, version=held.value.version + 1)
        event = told(link, Action.LINK_OPEN, link.id, rows.clock.now_ms(), outcome)
        batch = rows.links.replace(held, link)
        await rows.commit(batch, event)
        return Held(held.key, link, batch.puts[0][2])

    async def _content(self, who: Principal) -> bytes:
        """All that this link may see, as one Bundle. Raises NotFound when that is nothing, TooLarge."""
        entries: dict[str, bytes] = {}
        for path, query in ((f"/Patient/{who.patient}", b""), (f"/Patient/{who.patient}/*", _PAGE)):
            entries |= await self._entries(who, path, query)
        if not entries:
            raise NotFound("There is nothing.", reason="nothing is shared by this link any more")
        data = collection(entries.items())  # with the notice that goes with substance use data
        if len(data) > FILE_BYTES_MAX:
            raise TooLarge(f"The record is larger than {FILE_BYTES_MAX // MIB} MiB: share part of it.")
        return data

    async def _entries(self, who: Principal, path: str, query: bytes) -> dict[str, bytes]:
        """The resources of an answer and of its further pages, by address."""
        found: dict[str, bytes] = {}
        for _ in range(_PAGES_MAX):
            body = await self._ask(who, path, query)
            given = [body] if body.get("resourceType") == "Patient" else [e["resource"] for e in body.get("entry", ())]
            for each in given:
                found[f"{self._base}/{each['resourceType']}/{each['id']}"] = orjson.dumps(each)
            following = [link["url"] for link in body.get("link", ()) if link.get("relation") == "next"]
            if not following:
                return found
            path, _, text = following[0].removeprefix(self._base).partition("?")
            query = text.encode()
        raise TooLarge("The record is too large for a link: share part of it.")

    async def _ask(self, who: Principal, path: str, query: bytes) -> dict[str, Any]:
        """What the door answers; nothing where it is not there or not for this link."""
        frame = Frame(self._on.rows.clock.now_ms(), 1_000, self._base)
        question = parse(Request("GET", path.encode(), query), frame)
        try:
            answer = await self._door.answer(who, question)
        except (NotFound, Denied, Gone):
            return {}
        body: dict[str, Any] = orjson.loads(answer.body)
        return body if body.get("resourceType") in {"Bundle", "Patient"} else {}
