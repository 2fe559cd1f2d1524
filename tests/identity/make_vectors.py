"""Writes tests/vectors/identity/*.json. Deterministic: Ed25519, ECDSA after RFC 6979, fixed keys, salts and nonces."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import argon2.low_level as argon
import cbor2
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from identity import naive
from identity.authenticator import BE, BS, ORIGIN, RP, UP, UV, Authenticator, b64

VECTORS = Path(__file__).parents[1] / "vectors" / "identity"
CHALLENGE = bytes(range(32))
HANDLE = bytes(range(64))
OTHER = "https://clinic.example.evil.example"
KEY = bytes(range(0x20, 0x40))
PEPPER = bytes(range(0x40, 0x60))

Case = dict[str, object]


class Fixed(Authenticator):
    """The same key and the same signature every time."""

    def create(self, options: dict, **changed) -> str:
        self._fix()
        made, keep = self.cose, self.key
        sent = super().create(options, **changed)
        self.key, self.cose = keep, made
        return sent

    def _fix(self) -> None:
        if self.alg == -8:
            self.key = ed25519.Ed25519PrivateKey.from_private_bytes(KEY)
            self.cose = self.cose or {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}
            return
        self.key = ec.derive_private_key(int.from_bytes(KEY, "big"), ec.SECP256R1())
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        self.cose = self.cose or cose

    def _sign(self, signed: bytes) -> bytes:
        if self.alg == -8:
            return self.key.sign(signed)
        return self.key.sign(signed, ec.ECDSA(naive.SHA256, deterministic_signing=True))


def device(**more) -> Fixed:
    return Fixed(**{"id": bytes(range(16)), "handle": HANDLE} | more)


def created(name: str, *, good: bool = False, conditional: bool = False, sent: dict | None = None, **more) -> Case:
    """One registration."""
    options = {"user": {"id": b64(HANDLE)}, "challenge": b64(CHALLENGE)}
    response = json.loads(device(**more).create(options, **(sent or {})))
    return {"name": name, "ceremony": "create", "conditional": conditional, "good": good, "response": response}


def got(name: str, *, good: bool = False, sent: dict | None = None, **more) -> Case:
    """One sign-in, with the public key that it is checked by."""
    one = device(**more)
    one._fix()
    key = b64(cbor2.dumps(one.cose))
    response = json.loads(one.get({"challenge": b64(CHALLENGE)}, **(sent or {})))
    return {"name": name, "ceremony": "get", "good": good, "key": key, "response": response}


def passkeys() -> list[Case]:
    """Both ceremonies: a few that are right, and one fault at a time."""
    synced = UP | UV | BE | BS
    zero = {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}
    return [
        created("ES256", good=True),
        created("Ed25519", good=True, alg=-8),
        created("synced", good=True, flags=synced, counts=False),
        created("made by the browser itself", good=True, flags=0, conditional=True),
        created("made by the browser itself, but not asked for so", flags=0),
        created("no user presence", flags=UV),
        created("no user verification", flags=UP),
        created("backed up but not eligible", flags=UP | UV | BS),
        created("another origin", origin=OTHER),
        created("plain HTTP", origin="http://clinic.example"),
        created("another port", origin=ORIGIN + ":8443"),
        created("origin with a slash", origin=ORIGIN + "/"),
        created("origin in capitals", origin="https://Clinic.example"),
        created("another rpId", rp_id="evil.example"),
        created("in a frame of another site", client={"crossOrigin": True}),
        created("another challenge", client={"challenge": b64(bytes(32))}),
        created("no challenge", client={"challenge": ""}),
        created("an assertion's type", client={"type": "webauthn.get"}),
        created("a point that is not on the curve", cose=zero),
        created("an algorithm that was not offered", cose={1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}),
        created("a key of 1,024 bits", cose={1: 3, 3: -257, -1: b"\xc5" * 128, -2: b"\1\0\1"}),
        created("ES256 with a key of Ed25519", cose={1: 1, 3: -7, -1: 6, -2: bytes(32)}),
        created("a key without algorithm", cose={1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}),
        created("an attestation of a maker", sent={"attestation": {"fmt": "fido-u2f", "attStmt": {"sig": b"x", "x5c": []}}}),
        created("packed, with a signature that is none", sent={"attestation": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}}}),
        created("attestation none with a statement", sent={"attestation": {"attStmt": {"sig": b"x"}}}),
        created("authenticator data cut short", sent={"attestation": {"authData": bytes(36)}}),
        created("no attested key", sent={"attestation": {"authData": hashlib.sha256(RP.encode()).digest() + b"\x05" + bytes(4)}}),
        created("another id outside than inside", sent={"id": "AAAA", "rawId": "AAAA"}),
        created("two ids outside", sent={"id": "AAAA"}),
        created("another type of credential", sent={"type": "password"}),
        created("an empty id", id=b""),
        created("an id that is too long", id=bytes(1_024)),
        got("ES256", good=True),
        got("Ed25519", good=True, alg=-8),
        got("synced", good=True, flags=synced, counts=False),
        got("no user presence", flags=UV),
        got("no user verification", flags=UP),
        got("backed up but not eligible", flags=UP | UV | BS),
        got("another origin", origin=OTHER),
        got("another rpId", rp_id="evil.example"),
        got("in a frame of another site", client={"crossOrigin": True}),
        got("another challenge", client={"challenge": b64(bytes(32))}),
        got("a registration's type", client={"type": "webauthn.create"}),
        got("a signature that is none", sent={"response": {"signature": b64(bytes(70))}}),
        got("no signature", sent={"response": {"signature": ""}}),
        got("authenticator data of another answer", sent={"response": {"authenticatorData": b64(hashlib.sha256(RP.encode()).digest() + b"\x05" + bytes(4))}}),
        got("client data that is no JSON", sent={"response": {"clientDataJSON": b64(b"{")}}),
        got("two ids", sent={"id": "AAAA"}),
    ]  # fmt: skip


def codes() -> list[Case]:
    """TOTP: RFC 6238 appendix B cut to six digits, the window, and what was used. `after` is the last used step."""
    secret = b"12345678901234567890"
    times = {
        59: "94287082",
        1111111109: "07081804",
        1111111111: "14050471",
        1234567890: "89005924",
        2000000000: "69279037",
    }
    right = [
        {"time_ms": at * 1000, "code": code[2:], "after": 0, "step": at // 30}
        for at, code in {**times, 20000000000: "65353130"}.items()
    ]
    at, step = 1234567890, 1234567890 // 30
    near = [
        (step - 1, "one before", step - 1), (step + 1, "one after", step + 1), (step - 2, "two before", None),
        (step + 2, "two after", None),
    ]  # fmt: skip
    window = [
        {"name": name, "time_ms": at * 1000, "code": naive.code(secret, which), "after": 0, "step": found}
        for which, name, found in near
    ]
    used = [
        {"name": name, "time_ms": at * 1000, "code": naive.code(secret, step), "after": after, "step": None}
        for name, after in (("used", step), ("an earlier one than the last", step + 1))
    ]
    wrong = [
        {"name": name, "time_ms": at * 1000, "code": code, "after": 0, "step": None}
        for name, code in (
            ("eight digits", "89005924"),
            ("wrong", "005925"),
            ("empty", ""),
            ("Arabic digits", "٠٠٥٩٢٤"),
        )
    ]
    return [{"secret": secret.hex(), **each} for each in [*right, *window, *used, *wrong]]


def recovery() -> list[Case]:
    """How a code is read and hashed; `hash` null: no code at all."""
    plain = "0123456789ABCDEFGHJKMNPQ"
    shown = "-".join(plain[n : n + 4] for n in range(0, 24, 4))
    right = [
        shown,
        plain,
        shown.lower(),
        shown.replace("-", " "),
        f" {shown} ",
        shown.replace("0", "O").replace("1", "I"),
        shown.replace("1", "l"),
    ]
    wrong = [plain[:-1], plain + "0", plain[::-1], plain.replace("A", "Ä"), "", plain.replace("A", "U")]
    hashed = naive.recovery_hash(PEPPER, "acc-1", plain).hex()
    cases = [{"account": "acc-1", "typed": typed, "good": True} for typed in right]
    cases += [{"account": "acc-1", "typed": typed, "good": False} for typed in wrong]
    cases += [{"account": "acc-2", "typed": plain, "good": False}]
    return [{"pepper": PEPPER.hex(), "hash": hashed, **case} for case in cases]


def passwords() -> list[Case]:
    """Hashes: what is typed, and whether it is the password; all but two under small parameters, which a reader takes."""

    def encoded(form: str, **cost: int) -> str:
        how = {"time_cost": 1, "memory_cost": 8, "parallelism": 1} | cost
        keyed = naive.keyed(PEPPER, form)
        return argon.hash_secret(keyed, bytes(range(16)), hash_len=32, type=argon.Type.ID, **how).decode()

    small = encoded("Å fi 😀 x")
    full = encoded("kettle orbit", time_cost=3, memory_cost=65_536)
    typed = [
        ("as it was", small, "Å fi 😀 x", True), ("another form of the same letters", small, "A\u030a ﬁ 😀 x", True),
        ("full cost", full, "kettle orbit", True), ("another case", small, "å fi 😀 x", False), ("with a space", small, "Å fi 😀 x ", False),
        ("cut", small, "Å fi 😀", False), ("empty", small, "", False), ("full cost, wrong", full, "kettle  orbit", False),
        ("without the pepper", argon.hash_secret(b"kettle", bytes(16), 1, 8, 1, 32, argon.Type.ID).decode(), "kettle", False),
    ]  # fmt: skip
    return [
        {"name": name, "pepper": PEPPER.hex(), "encoded": made, "typed": text, "good": good}
        for name, made, text, good in typed
    ]


def tickets() -> list[Case]:
    """A ticket that opens, and what does not."""
    state, expires = msgspec.msgpack.encode([CHALLENGE]), 1_790_000_300_000
    right = {"purpose": "passkey-get", "account": "acc-1", "browser": "b-1", "now_ms": expires - 1}
    plain = expires.to_bytes(8, "big") + state
    ticket = b64(naive.sealed(KEY, bytes(12), plain, naive.ticket_aad("passkey-get", "acc-1", "b-1")))
    changed = [
        ("another purpose", {"purpose": "passkey-create"}), ("another account", {"account": "acc-2"}), ("nobody's account", {"account": ""}),
        ("another browser", {"browser": "b-2"}), ("parts that join to the same text", {"account": "acc-1b", "browser": "-1"}),
        ("at its end", {"now_ms": expires}), ("after it", {"now_ms": expires + 1}), ("cut", {"ticket": ticket[:-2]}),
        ("empty", {"ticket": ""}), ("another key", {"key": bytes(32).hex()}), ("another tail", {"ticket": ticket[:-1] + "AB"[ticket[-1] == "A"] + "A"}),
    ]  # fmt: skip
    base = {"key": KEY.hex(), "ticket": ticket, "state": state.hex(), **right}
    return [
        {"name": "opens", **base, "good": True},
        *({**base, "name": name, **fault, "good": False} for name, fault in changed),
    ]


def lists() -> list[Case]:
    """Files of digests: which are read, and what is in them."""
    words = ["password1", "iloveyou", "kettle orbit", "éclair12"]
    folded = naive.listed("sha256", 5, words)
    typed = naive.listed("sha1", 7, ["Password1", "iloveyou"])
    asked = {
        "password1": True,
        "PASSWORD1": True,
        "Ｐassword1": True,
        "E\u0301CLAIR12": True,
        "password2": False,
        "": False,
    }
    good = [
        {"name": "lower case", "file": folded.hex(), "has": asked},
        {"name": "as typed", "file": typed.hex(), "has": {"Password1": True, "password1": False, "ILOVEYOU": True}},
        {"name": "empty", "file": folded[:32].hex(), "has": {"password1": False}},
    ]
    bad = [
        ("no file", b""), ("cut in the header", folded[:31]), ("cut in a digest", folded[:-1]), ("another magic", b"medlock-listed/2" + folded[16:]),
        ("another hash", folded[:16] + b"md5".ljust(8, b"\0") + folded[24:]), ("no width", folded[:24] + b"\0" + folded[25:]),
        ("a width of 3", folded[:24] + b"\3" + folded[25:32] + bytes(6)), ("a width of 21", folded[:24] + b"\x15" + folded[25:32] + bytes(21)),
        ("something in the reserve", folded[:31] + b"\1" + folded[32:]),
    ]  # fmt: skip
    return [*good, *({"name": name, "file": data.hex(), "has": None} for name, data in bad)]


FILES = {
    "passkeys": passkeys,
    "codes": codes,
    "recovery": recovery,
    "passwords": passwords,
    "tickets": tickets,
    "lists": lists,
}


def written(cases: list[Case]) -> str:
    """The text of a vector file."""
    return json.dumps(cases, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    VECTORS.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (VECTORS / f"{name}.json").write_text(written(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
