"""Key sets: everything that one patient key or the tenant key opens, derived on first use.

A patient key is 32 random bytes that exist only in the keystore; destroy it and all that lies under it is gone.
The tenant key covers what belongs to nobody in particular: row labels, the log, tokens, pages. Each use has a
key of its own by HKDF with the label shown beside it; docs/spec/keystore.md lists them all. Key sets live in
memory only, print nothing and refuse to be pickled.

When a patient's key is rotated, the next generation takes two kinds of sub-keys over from the one before, since what
hangs on them does not move: the key that names index rows, and the keys that opened audit copies so far.
"""

from __future__ import annotations

from functools import cached_property
from typing import NoReturn

from medlock.crypto.aead import KEY_BYTES, Aead
from medlock.crypto.kdf import derive
from medlock.crypto.mask import HeaderMask
from medlock.crypto.prf import Prf, ValueHash
from medlock.crypto.setdigest import SetDigest
from medlock.errors import NotFound

SHARED = 0  # the slot of resources that belong to no patient


class KeyDestroyed(NotFound):
    """No key for this slot: it was destroyed, or never was. What lies under it cannot be opened by anybody."""

    def __init__(self) -> None:
        super().__init__("There is nothing here.", reason="no key for this slot: destroyed or unknown")


class NotCleared(NotFound):
    """This process was given no key to sensitive classes. For whoever asks it is as if nothing were there."""

    def __init__(self) -> None:
        super().__init__("There is nothing here.", reason="sealed for processes with clearance only")


class _KeySet:
    """A secret and what it derives."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys stay in this process")


class PatientKeys(_KeySet):
    """One generation of one patient's keys (or, under slot 0, of the shared resources).

    slot        63-bit number of the patient in headers and the keystore; says nothing about the person
    generation  counts data key rotations from 0
    secret      32 random bytes; from generation 1 on followed by what `succession` of the one before gave
    """

    def __init__(self, slot: int, generation: int, secret: bytes) -> None:
        super().__init__(secret[:KEY_BYTES])
        self._inherited = tuple(secret[at : at + KEY_BYTES] for at in range(KEY_BYTES, len(secret), KEY_BYTES))
        self.slot = slot
        self.generation = generation

    def bare(self) -> None:
        """Let go of all that was derived; it is derived again when it is asked for."""
        for use in _USES:
            self.__dict__.pop(use, None)

    @cached_property
    def body(self) -> Aead:
        """Seals current and older bodies."""
        return Aead(self._sub("body"))

    @cached_property
    def apart(self) -> Aead:
        """Seals bodies of sensitive classes, current and older ones."""
        return Aead(self._sub("sensitive"))

    @cached_property
    def capsule(self) -> Aead:
        """Seals capsule segments and deltas."""
        return Aead(self._sub("capsule"))

    @cached_property
    def directory(self) -> Aead:
        """Seals this patient's entry in the directory."""
        return Aead(self.directory_key)

    @property
    def directory_key(self) -> bytes:
        """The same as bytes, for a process that shall have this key only."""
        return self._sub("directory")

    @cached_property
    def audit(self) -> Aead:
        """Seals the full detail of audit events about this patient."""
        return Aead(self._audit_key)

    @cached_property
    def audits(self) -> tuple[Aead, ...]:
        """Open the full detail of audit events about this patient, from every generation so far, newest first."""
        return self.audit, *(Aead(key) for key in self._inherited[1:])

    @cached_property
    def labels(self) -> Prf:
        """Names the rows of the capsule: the first generation's key, for all generations."""
        return Prf(self._label_key)

    def succession(self) -> bytes:
        """What the next generation's secret keeps of this one: the label key, then audit keys, newest first."""
        return b"".join((self._label_key, self._audit_key, *self._inherited[1:]))

    def common(self) -> bytes:
        """What opens all of this patient's but sensitive classes, for a process without clearance (`CommonKeys`)."""
        handed = (*(self._sub(use) for use in _COMMON), self._label_key, self._audit_key, *self._inherited[1:])
        return b"".join(handed)

    def _sub(self, use: str) -> bytes:
        """The sub-key for one use."""
        return derive(self._key, f"medlock/1/patient/{use}")

    @property
    def _audit_key(self) -> bytes:
        return self._sub("audit")

    @property
    def _label_key(self) -> bytes:
        return self._inherited[0] if self._inherited else self._sub("labels")


_COMMON = ("body", "capsule", "directory")


class CommonKeys(PatientKeys):
    """The keys of one generation without that of sensitive classes, and without the one that all derive from.

    handed  what `common` gave
    """

    def __init__(self, slot: int, generation: int, handed: bytes) -> None:
        parts = [handed[at : at + KEY_BYTES] for at in range(0, len(handed), KEY_BYTES)]
        labels, audit, *older = parts[len(_COMMON) :]
        super().__init__(slot, generation, b"")
        self._inherited = (labels, *older)
        self._handed = {**dict(zip(_COMMON, parts, strict=False)), "audit": audit}

    def _sub(self, use: str) -> bytes:
        found = self._handed.get(use)
        if found is None:
            raise NotCleared
        return found


_USES = ("body", "apart", "capsule", "directory", "audit", "audits", "labels")


class TenantKeys(_KeySet):
    """The keys of the whole store; `own` are the keys of its shared resources (slot 0)."""

    def __init__(self, key: bytes, own: PatientKeys | None = None) -> None:
        super().__init__(key)
        self.own = own or PatientKeys(SHARED, 0, derive(key, "medlock/1/tenant/own"))

    @cached_property
    def rid(self) -> Prf:
        """Names body and history rows: PRF(type/id)."""
        return Prf(derive(self._key, "medlock/1/tenant/rid"))

    @cached_property
    def header(self) -> HeaderMask:
        """Hides row headers."""
        return HeaderMask(derive(self._key, "medlock/1/tenant/header"))

    @cached_property
    def values(self) -> ValueHash:
        """Hashes search values inside sealed indexes."""
        return ValueHash(derive(self._key, "medlock/1/tenant/values"))

    @cached_property
    def directory_labels(self) -> Prf:
        """Names directory rows: PRF(slot)."""
        return Prf(derive(self._key, "medlock/1/tenant/directory-labels"))

    @cached_property
    def directory_log(self) -> Aead:
        """Seals the list of directory changes that every worker follows."""
        return Aead(derive(self._key, "medlock/1/tenant/directory-log"))

    @cached_property
    def log(self) -> Aead:
        """Seals minimal audit copies, the log's tip and its index."""
        return Aead(derive(self._key, "medlock/1/tenant/log"))

    @cached_property
    def detail(self) -> Aead:
        """Seals full audit detail that concerns no patient."""
        return Aead(derive(self._key, "medlock/1/tenant/detail"))

    @cached_property
    def token(self) -> Aead:
        """Seals grants of access."""
        return Aead(derive(self._key, "medlock/1/tenant/token"))

    @cached_property
    def token_labels(self) -> Prf:
        """Names token rows: PRF(bearer secret)."""
        return Prf(derive(self._key, "medlock/1/tenant/token-labels"))

    @cached_property
    def identity(self) -> Aead:
        """Seals accounts, factors and sessions."""
        return Aead(derive(self._key, "medlock/1/tenant/identity"))

    @cached_property
    def identity_labels(self) -> Prf:
        """Names their rows."""
        return Prf(derive(self._key, "medlock/1/tenant/identity-labels"))

    @cached_property
    def oauth(self) -> Aead:
        """Seals clients, codes and grants."""
        return Aead(derive(self._key, "medlock/1/tenant/oauth"))

    @cached_property
    def oauth_labels(self) -> Prf:
        """Names their rows."""
        return Prf(derive(self._key, "medlock/1/tenant/oauth-labels"))

    @cached_property
    def once(self) -> Aead:
        """Seals marks of what may be used once."""
        return Aead(derive(self._key, "medlock/1/tenant/once"))

    @cached_property
    def once_labels(self) -> Prf:
        """Names their rows."""
        return Prf(derive(self._key, "medlock/1/tenant/once-labels"))

    @cached_property
    def counter_labels(self) -> Prf:
        """Names counters."""
        return Prf(derive(self._key, "medlock/1/tenant/counter-labels"))

    @cached_property
    def tickets(self) -> Aead:
        """Seals what a browser carries between an offer and its answer."""
        return Aead(derive(self._key, "medlock/1/tenant/tickets"))

    @cached_property
    def pepper(self) -> bytes:
        """The 32-byte key of the HMAC over what a password hash is made of (SP 800-63B §5.1.1.2)."""
        return derive(self._key, "medlock/1/tenant/pepper")

    @cached_property
    def share_links(self) -> bytes:
        """Makes the keys of what share links show, together with the secret in their addresses."""
        return derive(self._key, "medlock/1/tenant/share-links")

    @cached_property
    def page(self) -> Aead:
        """Seals paging tokens."""
        return Aead(derive(self._key, "medlock/1/tenant/page"))

    @cached_property
    def job(self) -> Aead:
        """Seals the state of jobs."""
        return Aead(derive(self._key, "medlock/1/tenant/job"))

    @cached_property
    def job_labels(self) -> Prf:
        """Names job rows: PRF(name)."""
        return Prf(derive(self._key, "medlock/1/tenant/job-labels"))

    @cached_property
    def backup(self) -> Aead:
        """Seals the files of a backup."""
        return Aead(derive(self._key, "medlock/1/tenant/backup"))

    @cached_property
    def backup_rows(self) -> ValueHash:
        """Hashes rows for the sealed index of a backup."""
        return ValueHash(derive(self._key, "medlock/1/tenant/backup-rows"))

    @cached_property
    def checkpoint_seed(self) -> bytes:
        """The 32-byte Ed25519 seed that signs checkpoints of the log (RFC 8032 §5.1.5)."""
        return derive(self._key, "medlock/1/tenant/checkpoint")

    @cached_property
    def unwraps(self) -> Aead:
        """Seals the key broker's log."""
        return Aead(derive(self._key, "medlock/1/tenant/unwraps"))

    @cached_property
    def keystore_state(self) -> Aead:
        """Seals the keystore's account of itself."""
        return Aead(derive(self._key, "medlock/1/tenant/keystore-state"))

    @cached_property
    def keystore_rows(self) -> SetDigest:
        """Digests the set of key rows."""
        return SetDigest(derive(self._key, "medlock/1/tenant/keystore-rows"))


def patient_keys(slot: int, generation: int, secret: bytes) -> PatientKeys:
    """The keys in a row of the keystore; that of (0, 0) holds the tenant key, from which the shared ones derive."""
    return TenantKeys(secret).own if slot == SHARED and generation == 0 else PatientKeys(slot, generation, secret)
