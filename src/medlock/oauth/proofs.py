"""DPoP: a token that is of no use without the key it was given to (RFC 9449).

Optional for each client; for one registered `dpop_bound` it is the only way. A proof is signed by the key in its own
header, names method and address of the very request, is a minute old at most, and is used once. For such clients the
token endpoint also demands a nonce of this server's, so that a proof made in advance is worthless (§8); a nonce is a
MAC over the present five minutes, so no worker has to remember any.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from medlock.crypto.jose import SKEW, BadToken, VerifyKey, algorithm, claimed, peek
from medlock.errors import OAuthRefused
from medlock.oauth.rows import Mark, Rows
from medlock.store.tables import Batch

ALGORITHMS = frozenset({"ES256", "ES384", "RS256", "PS256", "Ed25519"})
NONCE_SECONDS = 300
PROOF_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Bound:
    """What a proof brings: the thumbprint of its key ("" when there was no proof), and its mark to be committed."""

    jkt: str = ""
    batch: Batch = field(default_factory=Batch)


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that a proof comes with. `token`: the access token that it comes with, "" at the token endpoint."""

    method: str
    address: str
    token: str = ""


class Proofs:
    """Checks proofs."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def check(self, proof: str, asked: Asked, *, nonce: bool = False) -> Bound:
        """The key that is proven. `nonce`: one of ours must be in it. Raises OAuthRefused (invalid_dpop_proof)."""
        try:
            header, claims = peek(proof if len(proof) <= PROOF_BYTES else "")
            key = _key(proof, header)
            self._fresh(claims)
            _fits(claims, asked)
        except BadToken as fault:
            raise OAuthRefused("invalid_dpop_proof", "The DPoP proof is not valid.", reason=f"proof: {fault}") from None
        if nonce and not self._is_ours(claims.get("nonce")):
            headers = (("dpop-nonce", self.nonce()),)
            raise OAuthRefused("use_dpop_nonce", "Send a proof with the nonce in DPoP-Nonce.", headers=headers)
        mark = Mark((int(claims["iat"]) + 2 * SKEW) * 1000)
        place = self._rows.marks.key("dpop", key.thumbprint, claims["jti"])
        return Bound(key.thumbprint, self._rows.marks.insert(place, mark))

    def nonce(self) -> str:
        """The nonce of these minutes (RFC 9449 §8)."""
        return self._nonce_of(self._window())

    def _is_ours(self, nonce: object) -> bool:
        """Whether it is this window's nonce, or the one's before."""
        now = self._window()
        return isinstance(nonce, str) and any(
            compare_digest(nonce.encode(), self._nonce_of(at).encode()) for at in (now, now - 1)
        )

    def _window(self) -> int:
        return self._rows.clock.now_ms() // (NONCE_SECONDS * 1000)

    def _nonce_of(self, window: int) -> str:
        return urlsafe_b64encode(self._rows.labels.digest(f"dpop-nonce|{window}".encode())).rstrip(b"=").decode()

    def _fresh(self, claims: dict[str, Any]) -> None:
        """Return when the proof was made just now."""
        made, now = claims.get("iat"), self._rows.clock.now_ms() / 1000
        if isinstance(made, bool) or not isinstance(made, int | float) or not now - SKEW <= made <= now + SKEW:
            raise BadToken("not made just now")
        (jti,) = claimed(claims, ("jti",))
        if len(jti) > 255:
            raise BadToken("a jti that is too long")


def _key(proof: str, header: dict[str, Any]) -> VerifyKey:
    """The public key in the header, which signed. Raises BadToken."""
    if header.get("typ") != "dpop+jwt" or not isinstance(header.get("jwk"), dict):
        raise BadToken("not a proof")
    key = VerifyKey(header["jwk"])
    key.verify(proof, algorithm(header, ALGORITHMS))
    return key


def _fits(claims: dict[str, Any], asked: Asked) -> None:
    """Return when method, address and token are those of the request (§4.3). Raises BadToken."""
    htm, htu = claimed(claims, ("htm", "htu"))
    if htm != asked.method or htu.partition("?")[0].partition("#")[0] != asked.address:
        raise BadToken("made for another request")
    if asked.token:
        expected = urlsafe_b64encode(sha256(asked.token.encode()).digest()).rstrip(b"=").decode()
        if claims.get("ath") != expected:
            raise BadToken("made for another token")
