"""Signed JSON Web Tokens (RFC 7515, 7517, 7519): the one place that touches `joserfc`.

The library checks signatures, and nothing else unless it is told to: a token that expired yesterday decodes. Here a
token is verified with an explicit list of algorithms, and exp, iat, nbf, aud and iss are always looked at; a caller
cannot leave one out. A key is found by its exact `kid`; two keys of one name, or a key that does not fit the
algorithm, verify nothing. Key sets that hold private members, symmetric keys or RSA keys below 2048 bits are refused
whole.

Pure: the time comes from the caller. What does not hold raises `BadToken`, whose text is for the audit log; it never
quotes the token.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

SKEW = 60
"""Seconds by which two clocks may differ."""

TOKEN_BYTES = 16_384
SET_KEYS = 32
_RSA_BITS = 2_048
_ENCODE = msgspec.json.encode
_DECODE = msgspec.json.Decoder(dict[str, Any]).decode
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_FITS = {
    **dict.fromkeys(("RS256", "RS384", "PS256", "PS384"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "Ed25519": ("OKP", "Ed25519"),
}
ALGORITHMS = frozenset(_FITS)
"""Every algorithm that may be asked for. No symmetric one, and no `none`: with a public key neither proves anything."""

_Key = RSAKey | ECKey | OKPKey
Claims = dict[str, Any]


class BadToken(Exception):
    """A token, or a key, that is not to be relied upon. The text is private and holds nothing of the token."""


class _Registry(jws.JWSRegistry):
    """Room for a `jwk` in the header (RFC 9449); every algorithm is named by the caller."""

    max_header_length = 4_096
    max_payload_length = TOKEN_BYTES


_REGISTRIES = {alg: _Registry(algorithms=[alg], strict_check_header=False) for alg in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say.

    algorithms  those that may have signed it
    issuer      its `iss`
    audiences   one of these must be in its `aud`
    now         seconds since 1970
    longest     how far in the future `exp` may lie, in seconds, clock skew aside
    typ         media type in its header, "" for any; compared without `application/` and case
    """

    algorithms: frozenset[str]
    issuer: str
    audiences: frozenset[str]
    now: float
    longest: int
    typ: str = ""


class VerifyKey:
    """One public key: `kid` as published, "" when it has none."""

    __slots__ = ("_key", "curve", "kid", "kty", "only_alg", "thumbprint")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self._key, self.kty, self.curve = _import(jwk)
        self.kid = _text(jwk.get("kid"))
        self.only_alg = _text(jwk.get("alg"))
        self.thumbprint: str = self._key.thumbprint()
        """RFC 7638, SHA-256, base64url."""

    def fits(self, alg: str) -> bool:
        """Whether this key is one for the algorithm."""
        kty, curve = _FITS.get(alg, ("", ""))
        return self.kty == kty and curve in {"", self.curve} and self.only_alg in {"", alg}

    def verify(self, token: str, alg: str) -> None:
        """Return when the signature is by this key. Raises BadToken."""
        if not self.fits(alg):
            raise BadToken("the key is none for this algorithm")
        try:
            jws.deserialize_compact(token, self._key, registry=_REGISTRIES[alg])
        except (JoseError, ValueError, TypeError):
            raise BadToken("the signature does not hold") from None


@dataclass(frozen=True, slots=True)
class KeySet:
    """The public keys of somebody."""

    keys: tuple[VerifyKey, ...]

    def one(self, kid: str, alg: str) -> VerifyKey:
        """The key of this name. Raises BadToken when there is none, or more than one, or it does not fit."""
        named = [key for key in self.keys if key.kid == kid and kid]
        if len(named) != 1:
            raise BadToken("no key of this name" if not named else "two keys of one name")
        if not named[0].fits(alg):
            raise BadToken("the key is none for this algorithm")
        return named[0]


def key_set(document: bytes | Mapping[str, Any]) -> KeySet:
    """The keys of a JWK Set; those of a kind or use that is not ours are passed over (RFC 7517 §5).

    Raises BadToken for what is no set, holds private keys, or holds no key that can verify.
    """
    try:
        parsed = _DECODE(document) if isinstance(document, bytes) else document
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadToken("not a JWK Set") from None
    listed = parsed.get("keys")
    if not isinstance(listed, list) or not 0 < len(listed) <= SET_KEYS:
        raise BadToken(f"a JWK Set has between 1 and {SET_KEYS} keys")
    if any(not isinstance(jwk, dict) or _PRIVATE & jwk.keys() for jwk in listed):
        raise BadToken("a JWK Set with private or symmetric keys")
    keys = [VerifyKey(jwk) for jwk in listed if _ours(jwk)]
    if not keys:
        raise BadToken("a JWK Set without a key that can verify")
    return KeySet(tuple(keys))


def _ours(jwk: Mapping[str, Any]) -> bool:
    """Whether a key is one for signatures, of a kind that is known here."""
    curves = {curve for _, curve in _FITS.values()}
    return _text(jwk.get("kty")) in _KINDS and jwk.get("use", "sig") == "sig" and _text(jwk.get("crv")) in curves


def _import(jwk: Mapping[str, Any]) -> tuple[_Key, str, str]:
    """A public key, its kind and its curve. Raises BadToken."""
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _KINDS or _PRIVATE & jwk.keys():
        raise BadToken("not a public key of a kind that is taken")
    members = {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in jwk}
    try:
        key = _KINDS[kty].import_key(members)
        number = getattr(key.raw_value, "key_size", _RSA_BITS)
    except (JoseError, ValueError, TypeError, KeyError, binascii.Error):
        raise BadToken("a key that cannot be read") from None
    if kty == "RSA" and number < _RSA_BITS:
        raise BadToken(f"an RSA key below {_RSA_BITS} bits")
    return key, kty, _text(jwk.get("crv"))


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that signs. `jwk` is the whole of it: keep it sealed."""

    kid: str
    alg: str
    jwk: Mapping[str, Any] = field(repr=False)
    _key: _Key = field(repr=False)

    def public(self) -> dict[str, Any]:
        """What everybody may have of it."""
        return {**self._key.as_dict(private=False), "kid": self.kid, "alg": self.alg, "use": "sig"}

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """A token with these claims; members of `header` replace the usual ones."""
        full = {"alg": self.alg, "kid": self.kid, "typ": "JWT", **(header or {})}
        return jws.serialize_compact(full, _ENCODE(claims), self._key, registry=_REGISTRIES[self.alg])


def new_signer(alg: str) -> Signer:
    """A new key for an algorithm; it is called by its thumbprint. RSA keys have 2048 bits."""
    kty, curve = _FITS[alg]
    key: _Key = RSAKey.generate_key(_RSA_BITS) if kty == "RSA" else _generate(kty, curve)
    return Signer(key.thumbprint(), alg, key.as_dict(private=True), key)


def _generate(kty: str, curve: str) -> ECKey | OKPKey:
    return ECKey.generate_key(curve) if kty == "EC" else OKPKey.generate_key("Ed25519")


def signer_of(jwk: Mapping[str, Any], alg: str, kid: str = "") -> Signer:
    """The signer that a private JWK is. Raises BadToken."""
    kty, _ = _FITS[alg]
    try:
        key = _KINDS[kty].import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError):
        raise BadToken("a private key that cannot be read") from None
    return Signer(kid or key.thumbprint(), alg, jwk, key)


def peek(token: str) -> tuple[dict[str, Any], Claims]:
    """Header and claims of a token that nobody has verified: good for finding the key, and for nothing else.

    Raises BadToken for what is no token.
    """
    parts = token.split(".") if len(token) <= TOKEN_BYTES else []
    if len(parts) != 3:
        raise BadToken("not a signed token")
    return _part(parts[0]), _part(parts[1])


def _part(text: str) -> dict[str, Any]:
    """A JSON object in base64url without padding. Raises BadToken."""
    try:
        return _DECODE(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise BadToken("not a signed token") from None


def verify(token: str, keys: KeySet, expected: Expected) -> Claims:
    """The claims of a token that is what is expected. Raises BadToken, with the private reason, for any other."""
    header, claims = peek(token)
    alg = algorithm(header, expected.algorithms)
    if expected.typ and _text(header.get("typ")).lower().removeprefix("application/") != expected.typ.lower():
        raise BadToken("another kind of token")
    keys.one(_text(header.get("kid")), alg).verify(token, alg)
    check_claims(claims, expected)
    return claims


def algorithm(header: Mapping[str, Any], allowed: frozenset[str]) -> str:
    """The algorithm that a header names, if it is among those allowed. Raises BadToken."""
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in allowed or alg not in ALGORITHMS:
        raise BadToken("an algorithm that is not allowed")
    if "crit" in header:
        raise BadToken("critical header members that are not understood")  # RFC 7515 §4.1.11
    return alg


def check_claims(claims: Mapping[str, Any], expected: Expected) -> None:
    """Return when issuer, audience and times hold (RFC 7519 §4.1). Raises BadToken."""
    if claims.get("iss") != expected.issuer:
        raise BadToken("another issuer")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in expected.audiences for each in named):
        raise BadToken("another audience")
    exp = _time(claims, "exp")
    if exp is None:
        raise BadToken("no time of expiry")
    if exp <= expected.now - SKEW:
        raise BadToken("expired")
    if exp > expected.now + expected.longest + SKEW:
        raise BadToken("expires too late")
    check_begun(claims, expected.now)


def check_begun(claims: Mapping[str, Any], now: float) -> None:
    """Return when a token is not from the future. Raises BadToken."""
    for name in ("nbf", "iat"):
        moment = _time(claims, name)
        if moment is not None and moment > now + SKEW:
            raise BadToken(f"{name} lies in the future")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate, None when it is not there. Raises BadToken."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise BadToken(f"{name} is no time")
    return value


def _text(value: object) -> str:
    """A string member; "" for anything else."""
    return value if isinstance(value, str) else ""


def claimed(claims: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """String claims that must be there and not be empty. Raises BadToken."""
    found = [_text(claims.get(name)) for name in names]
    if not all(found):
        raise BadToken(f"{names[found.index('')]} is missing")
    return found
