"""The token vault: who is behind a pseudonym, for two people together (docs/spec/pseudonyms.md §7).

A release adds entries with the public key alone. To open one, both custodians give their secrets, the reason is
written down by the audit that is handed in, and only then the answer is given: no log, no data. Whoever destroys a
share destroys every link in the vault, for good.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from medlock.crypto.aead import Aead
from medlock.crypto.box import new_private_key, open_box, public_key_of, seal_to
from medlock.crypto.kdf import argon2id
from medlock.crypto.prf import Prf
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.errors import BadRequest, NotFound, SetupError, Tampered

FORMAT: Final = 1
_LABEL: Final = b"medlock/1/deid/vault"
_BLOCK: Final = 64


@dataclass(frozen=True)
class Custodian:
    """One of the two people, with the passphrase that only this person knows."""

    name: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class Reversal:
    """What the audit is told before anybody is named."""

    project: str
    tokens: tuple[str, ...]
    custodians: tuple[str, str]
    reason: str


@dataclass(frozen=True)
class Revealed:
    """Who is behind a token, and by how many days the record was moved."""

    token: str
    id: str
    days: int


@dataclass(frozen=True)
class _Share:
    custodian: str
    salt: bytes
    sealed: bytes


@dataclass
class Vault:
    """The header and the entries of one vault."""

    project: bytes
    public: bytes
    shares: tuple[_Share, _Share]
    entries: dict[str, bytes] = field(default_factory=dict)

    def add(self, token: str, patient: str, days: int) -> None:
        """Seal who is behind a token; one that is there stays."""
        if token not in self.entries:
            text = _padded(orjson.dumps([patient, days]))
            self.entries[token] = seal_to(self.public, text, _LABEL, self._entry_aad(token))

    def reveal(
        self,
        tokens: Iterable[str],
        custodians: tuple[Custodian, Custodian],
        reason: str,
        audit: Callable[[Reversal], None],
    ) -> list[Revealed]:
        """Who is behind the tokens, once the audit has it.

        Raises BadRequest without a reason, NotFound for a token that is not here, SetupError when a share was
        destroyed, BadRequest for a wrong passphrase, Tampered when anything was changed, and whatever `audit` raises.
        """
        wanted = tuple(dict.fromkeys(tokens))
        if not reason.strip():
            raise BadRequest("Say why these people are to be identified; the reason goes to the audit log.")
        if not wanted or any(token not in self.entries for token in wanted):
            raise NotFound("There is no such token in this vault.")
        private = self._private_key(custodians)
        found = [self._opened(private, token) for token in wanted]
        audit(Reversal(self.project.hex(), wanted, (custodians[0].name, custodians[1].name), reason))
        return found

    def without(self, custodian: str) -> Vault:
        """The vault with one share destroyed: what it holds can never be opened again. Raises NotFound."""
        if custodian not in {share.custodian for share in self.shares}:
            raise NotFound("This vault has no custodian of that name.")
        first, second = (
            _Share(share.custodian, share.salt, b"" if share.custodian == custodian else share.sealed)
            for share in self.shares
        )
        return Vault(self.project, self.public, (first, second), dict(self.entries))

    def _private_key(self, custodians: tuple[Custodian, Custodian]) -> bytes:
        """Both shares joined. The order in which the two people come does not matter."""
        given = {custodian.name: custodian.passphrase for custodian in custodians}
        if set(given) != {share.custodian for share in self.shares}:
            raise BadRequest("Both custodians of this vault must give their secrets.")
        if not all(share.sealed for share in self.shares):
            raise SetupError("A share of this vault was destroyed; what it holds can never be opened again.")
        halves = [self._share(index, given[share.custodian]) for index, share in enumerate(self.shares)]
        private = _xor(*halves)
        if public_key_of(private) != self.public:
            raise Tampered("the shares of a vault do not make its key")
        return private

    def _share(self, index: int, passphrase: str) -> bytes:
        share = self.shares[index]
        cipher = Aead(_stretched(passphrase, share.salt))
        try:
            opened = cipher.open(share.sealed, _share_aad(self.project, self.public, index))
        except Tampered:  # the two look the same, and the first is what happens
            raise BadRequest("A passphrase is wrong, or the vault was changed; nobody was named.") from None
        if len(opened) != len(self.public):
            raise Tampered("a share of a vault has not 32 bytes")
        return opened

    def _opened(self, private: bytes, token: str) -> Revealed:
        text = _unpadded(open_box(private, self.entries[token], _LABEL, self._entry_aad(token)))
        try:
            patient, days = orjson.loads(text)
        except (orjson.JSONDecodeError, ValueError, TypeError):
            raise Tampered("an entry of a vault is not what it must be") from None
        return Revealed(token, str(patient), int(days))

    def _entry_aad(self, token: str) -> bytes:
        return b"|".join((b"medlock/1/deid/vault-entry", self.project, token.encode()))

    def write(self) -> bytes:
        """The file."""
        shares = [
            {"custodian": share.custodian, "salt": share.salt.hex(), "sealed": share.sealed.hex()}
            for share in self.shares
        ]
        header = {
            "medlock-vault": FORMAT,
            "project": self.project.hex(),
            "public": self.public.hex(),
            "shares": shares,
        }
        entries = ({"token": token, "sealed": sealed.hex()} for token, sealed in self.entries.items())
        return b"".join(orjson.dumps(line) + b"\n" for line in (header, *entries))


def project_name(pseudonyms: Pseudonyms) -> bytes:
    """How a vault names its project: 16 bytes that say nothing about the key."""
    name: Prf = pseudonyms.prf("project")
    return name.digest(b"vault")


def create(pseudonyms: Pseudonyms, custodians: tuple[Custodian, Custodian]) -> Vault:
    """A new vault for a project, its key split between two people. Raises BadRequest."""
    first, second = custodians
    if first.name == second.name or not first.name or not second.name:
        raise BadRequest("A vault has two custodians with different names.")
    if first.passphrase == second.passphrase or min(len(first.passphrase), len(second.passphrase)) < 12:
        raise BadRequest("Each custodian needs a passphrase of their own, of 12 characters or more.")
    project, private = project_name(pseudonyms), new_private_key()
    public, half = public_key_of(private), new_private_key()
    made = []
    for index, (custodian, share) in enumerate(zip(custodians, (half, _xor(half, private)), strict=True)):
        salt = os.urandom(16)
        sealed = Aead(_stretched(custodian.passphrase, salt)).seal(share, _share_aad(project, public, index))
        made.append(_Share(custodian.name, salt, sealed))
    return Vault(project, public, (made[0], made[1]))


def read(data: bytes, pseudonyms: Pseudonyms | None = None) -> Vault:
    """A vault from its file; with `pseudonyms`, it must belong to that project. Raises BadRequest, Tampered."""
    lines = data.splitlines()
    try:
        header, *rest = [orjson.loads(line) for line in lines]
        if header.get("medlock-vault") != FORMAT:
            raise BadRequest("This is not a token vault of format 1.")
        vault = _header(header)
        for line in rest:
            _add_line(vault, line)
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError):
        raise BadRequest("This is not a token vault: a line of it cannot be read.") from None
    if pseudonyms is not None and vault.project != project_name(pseudonyms):
        raise BadRequest("This vault belongs to another project.")
    return vault


def _header(header: dict[str, Any]) -> Vault:
    shares = [
        _Share(str(share["custodian"]), bytes.fromhex(share["salt"]), bytes.fromhex(share["sealed"]))
        for share in header["shares"]
    ]
    if len(shares) != 2 or shares[0].custodian == shares[1].custodian:
        raise BadRequest("A token vault has two shares of two custodians.")
    return Vault(bytes.fromhex(header["project"]), bytes.fromhex(header["public"]), (shares[0], shares[1]))


def _add_line(vault: Vault, line: dict[str, str]) -> None:
    token, sealed = line["token"], bytes.fromhex(line["sealed"])
    if vault.entries.setdefault(token, sealed) != sealed:
        raise Tampered("a vault holds two entries for one token")


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return argon2id(passphrase.encode(), salt)


def _share_aad(project: bytes, public: bytes, index: int) -> bytes:
    return b"|".join((b"medlock/1/deid/vault-share", project, public, bytes((index,))))


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _padded(text: bytes) -> bytes:
    return text + b"\x80" + bytes(-(len(text) + 1) % _BLOCK)


def _unpadded(text: bytes) -> bytes:
    bare = text.rstrip(b"\x00")
    if bare[-1:] != b"\x80":
        raise Tampered("the padding of an entry is wrong")
    return bare[:-1]
