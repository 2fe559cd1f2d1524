"""Access tokens as the authorization server makes them, in the store of a server that runs: who somebody is stands in them."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from medlock.app import open_app
from medlock.oauth.requests import PURPOSES
from medlock.oauth.tokenrows import Token
from medlock.settings import Settings
from medlock.store.tables import Batch
from web.running import environment

LIFE = 3_600_000


@dataclass(frozen=True)
class Bearer:
    """Somebody who asks: `actor` is their own resource, `organisations` for whom they work."""

    role: str
    scopes: str = "user/*.cruds"
    actor: str = ""
    patient: str = ""
    purpose: str | None = None
    organisations: tuple[str, ...] = ()
    account: str = ""


async def make_tokens(app, bearers):
    """A secret for each."""
    now, made, batch = app.records.clock.now_ms(), [], Batch()
    for number, each in enumerate(bearers):
        purpose = PURPOSES[each.role] if each.purpose is None else each.purpose
        account = each.account or f"acc{number}"
        token = Token(
            *(b"", account, each.role, each.scopes, each.patient, "app", purpose, now, now + LIFE),
            kind="user",
            words=each.scopes,
            roles=(each.role,),
            fhir_user=each.actor,
            organisations=each.organisations,
        )
        new = app.tokens.prepare(token)
        made.append(new.secret)
        batch.inserts += new.batch.inserts
        batch.entries += app.records.log.seal(new.event)
    await app.records.backend.commit(batch)
    return made


def tokens_for(directory, bearers):
    """The same in the data directory of a server, whether it runs or not."""
    given = environment(directory)
    settings = Settings(directory, Path(given["MEDLOCK_PASSPHRASE_FILE"]), store=given.get("MEDLOCK_STORE", ""))

    async def inside():
        async with open_app(settings, create=True) as app:
            return await make_tokens(app, bearers)

    return asyncio.run(inside())
