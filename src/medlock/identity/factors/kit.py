"""All factors of a process, made of what it has: the store, the tenant's keys, settings."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from medlock.clock import Clock
from medlock.identity.factors.ceremony import Site
from medlock.identity.factors.footing import FactorKeys, footing
from medlock.identity.factors.passkey import Passkeys
from medlock.identity.factors.password import Hashing, Passwords
from medlock.identity.factors.recovery import Recovery
from medlock.identity.factors.shape import Described, Factor, Kind
from medlock.identity.factors.totp import Totp
from medlock.identity.passwords.blocklist import Lookup
from medlock.identity.passwords.profiles import Policies
from medlock.identity.slots import Slots
from medlock.store.tables import Backend, Batch


@dataclass(frozen=True, slots=True)
class Kit:
    """One object of each kind."""

    password: Passwords
    totp: Totp
    passkey: Passkeys
    recovery: Recovery

    def of(self, kind: Kind) -> Factor:
        """The factor of a kind."""
        every: tuple[Factor, ...] = (self.password, self.totp, self.passkey, self.recovery)
        return next(factor for factor in every if factor.kind is kind)

    async def held(self, account: str) -> list[Described]:
        """All that an account can prove itself with: passkeys first, paper last."""
        kinds = (Kind.PASSKEY, Kind.PASSWORD, Kind.TOTP, Kind.RECOVERY)
        return [each for kind in kinds for each in await self.of(kind).describe(account)]

    async def of_account(self, account_id: str) -> Batch:
        """All of it ends, for an account that is taken up anew (`identity.endings.Endings`)."""
        batch = await self.passkey.forget(account_id)
        for each in await self.held(account_id):
            if each.kind is not Kind.PASSKEY:
                batch += (await self.of(each.kind).remove(account_id, each.factor)).batch
        return batch


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has set: policies for roles, lists of known passwords, who we are to authenticators."""

    policies: Policies
    listed: Lookup
    site: Site


def site_of(base_url: str, name: str = "medlock") -> Site:
    """Who we are to authenticators, from the address that browsers use: origin to the letter, host as rpId."""
    parts = urlsplit(base_url)
    host, usual = parts.hostname or "", {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return Site(host, f"{parts.scheme}://{host}{port}", name)


def kit_of(backend: Backend, keys: FactorKeys, clock: Clock, rules: Rules, slots: Slots) -> Kit:
    """Put it together."""
    on = footing(backend, keys, clock)
    return Kit(
        Passwords(on, Hashing(slots, keys.pepper), rules.policies, rules.listed),
        Totp(on, rules.site.name),
        Passkeys(on, rules.site),
        Recovery(on, keys.pepper),
    )
