"""A hardware security module through PKCS#11 (OASIS PKCS #11 3.0): one AES-256 key per epoch, born and kept in it.

The keys are sensitive and never extractable; AES-GCM runs in the token (CKM_AES_GCM). Objects of a store:

    secret key   label `medlock <store> <epoch>`
    data object  label `medlock <store> destroyed`, application `medlock`; its value is the floor in decimal

A session is opened for each call: a handful at start and at a ratchet, so a token that was pulled, or a module that was
restarted, is met anew each time. Modules keep state that a forked process must not share; medlock spawns its workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from medlock.crypto.aead import NONCE_BYTES, TAG_BYTES
from medlock.errors import SetupError, Tampered, Unavailable
from medlock.ids import random_bytes
from medlock.store.kek.credentials import Credential, Judge, read_credential
from medlock.store.kek.service import Lodging, missing_extra

NAME = "pkcs11"
_HARDWARE_SLOT = 0x4  # CKF_HW_SLOT, PKCS #11 §3.2
_USAGE = "Set MEDLOCK_KEY_SERVICE like pkcs11:token=LABEL?module-path=/path/to/module.so (RFC 7512)."
_SOFT = "The token is a program, not a device: its keys lie in files on a disk of this machine, perhaps the data's."
_HARD = "Whoever takes the whole machine takes the module along: then the PIN alone guards it."
_PIN = ("PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked", "PinExpired", "UserPinNotInitialized")


class Pkcs11:
    """A KeyService on one token. `load` is for tests: it loads the module."""

    name = NAME

    def __init__(self, uri: str, pin_file: Path | None, judge: Judge, load: Callable[[str], Any] | None = None) -> None:
        self._token_label, self._module = _understood(uri)
        self._pin_file = pin_file
        self._judge = judge
        self._load = load
        self._store = ""
        self._api: Any = None

    @property
    def parameters(self) -> dict[str, str]:
        """The token's label; where the module's file lies may change with the system."""
        return {"token": self._token_label}

    def reach(self, store: str) -> None:
        """Load the library; the token is not asked yet."""
        self._store = store
        read_credential(self._pin_file, "the token's user PIN")
        try:
            self._api = import_module("pkcs11")
        except ModuleNotFoundError as error:
            raise missing_extra(NAME) from error

    def prepare(self) -> None:
        """See that the token opens and can do AES-GCM; the floor's object is made when it is first raised."""
        with self._session() as session:
            if self._api.Mechanism.AES_GCM not in session.token.slot.get_mechanisms():
                raise SetupError(f"The token {self._token_label} cannot do AES-GCM, which medlock needs.")

    def floor(self) -> int:
        """The greatest value among the data objects: a killed `raise_floor` can leave two."""
        with self._session() as session:
            value = self._api.Attribute.VALUE
            return max((int(found[value]) for found in self._marks(session)), default=0)

    def raise_floor(self, number: int) -> None:
        """Write the new object, then drop those before it."""
        attribute = self._api.Attribute
        with self._session() as session:
            former = list(self._marks(session))
            session.create_object(
                {
                    attribute.CLASS: self._api.ObjectClass.DATA,
                    attribute.TOKEN: True,
                    attribute.PRIVATE: True,
                    attribute.LABEL: self._label("destroyed"),
                    attribute.APPLICATION: "medlock",
                    attribute.VALUE: str(number).encode(),
                }
            )
            for each in former:
                each.destroy()

    def has(self, epoch: int) -> bool:
        """Whether the token has the key."""
        with self._session() as session:
            return self._key(session, epoch) is not None

    def make(self, epoch: int) -> None:
        """Generate in the token; nobody can have it out again, not even in wrapped form."""
        with self._session() as session:
            if self._key(session, epoch) is None:
                session.generate_key(
                    self._api.KeyType.AES, 256, label=self._label(str(epoch)), store=True, template=self._template()
                )

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Nonce | ciphertext | tag, encrypted in the token."""
        nonce = random_bytes(NONCE_BYTES)
        with self._session() as session:
            sealed = self._needed(session, epoch).encrypt(key, **self._gcm(nonce, aad))
        return nonce + bytes(sealed)

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Decrypt in the token. Modules answer a wrong tag with one of several errors, some of them general."""
        nonce, sealed = blob[:NONCE_BYTES], blob[NONCE_BYTES:]
        if len(sealed) < TAG_BYTES:
            raise Tampered("a wrapped epoch key is too short")
        wrong = (self._api.EncryptedDataInvalid, self._api.EncryptedDataLenRange, self._api.GeneralError)
        with self._session() as session:
            key = self._needed(session, epoch)
            try:
                return bytes(key.decrypt(sealed, **self._gcm(nonce, aad)))
            except wrong as error:
                raise Tampered("the token does not open it") from error

    def destroy(self, epoch: int) -> None:
        """Destroy the object."""
        with self._session() as session:
            key = self._key(session, epoch)
            if key is not None:
                key.destroy()

    def lodging(self) -> Lodging:
        """In the token: safe in a device that is not the disk."""
        with self._session() as session:
            slot, made_by = session.token.slot, _text(session.token.manufacturer_id)
            hardware = bool(int(slot.flags) & _HARDWARE_SLOT) and "softhsm" not in made_by.lower()
        place = f"PKCS#11 token {self._token_label} ({made_by})"
        _, reasons = self._judge(Credential(path=self._pin_file))
        return Lodging(place, hardware, (_HARD if hardware else _SOFT, *reasons))

    def _template(self) -> dict[Any, bool]:
        attribute = self._api.Attribute
        wanted = (attribute.PRIVATE, attribute.SENSITIVE, attribute.ENCRYPT, attribute.DECRYPT)
        refused = (
            attribute.EXTRACTABLE, attribute.MODIFIABLE, attribute.WRAP, attribute.UNWRAP, attribute.SIGN,
            attribute.VERIFY, attribute.DERIVE,
        )  # fmt: skip
        return {**dict.fromkeys(wanted, True), **dict.fromkeys(refused, False)}

    def _gcm(self, nonce: bytes, aad: bytes) -> dict[str, Any]:
        return {
            "mechanism": self._api.Mechanism.AES_GCM,
            "mechanism_param": self._api.GCMParams(nonce, aad, TAG_BYTES * 8),
        }

    def _label(self, what: str) -> str:
        return f"medlock {self._store} {what}"

    def _marks(self, session: Any) -> Iterator[Any]:
        attribute, kind = self._api.Attribute, self._api.ObjectClass.DATA
        yield from session.get_objects({attribute.CLASS: kind, attribute.LABEL: self._label("destroyed")})

    def _key(self, session: Any, epoch: int) -> Any:
        attribute, kind = self._api.Attribute, self._api.ObjectClass.SECRET_KEY
        found = list(session.get_objects({attribute.CLASS: kind, attribute.LABEL: self._label(str(epoch))}))
        return found[0] if found else None

    def _needed(self, session: Any, epoch: int) -> Any:
        key = self._key(session, epoch)
        if key is None:
            raise SetupError(f"The token {self._token_label} holds no key for epoch {epoch}.")
        return key

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """A session of our own; the login belongs to the whole process and may be there already (§5.6.8)."""
        with self._reported():
            token = (self._load or self._api.lib)(self._module).get_token(token_label=self._token_label)
            pin = read_credential(self._pin_file, "the token's user PIN")
            try:
                session = token.open(rw=True, user_pin=pin)
            except self._api.UserAlreadyLoggedIn:
                session = token.open(rw=True)
            with session:
                yield session

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """The module's errors as ours."""
        wrong_pin = tuple(getattr(self._api, name) for name in _PIN)
        try:
            yield
        except wrong_pin as error:
            raise SetupError(
                f"The token {self._token_label} refuses the PIN ({type(error).__name__}). Mind that it locks itself."
            ) from error
        except self._api.NoSuchToken as error:
            raise Unavailable(f"There is no token {self._token_label} now. Plug it in, or check its label.") from error
        except self._api.PKCS11Error as error:
            raise Unavailable(
                f"The token {self._token_label} or its module {self._module} does not answer.",
                reason=f"pkcs11: {type(error).__name__}",
            ) from error


def _understood(uri: str) -> tuple[str, str]:
    """Token label and module path of a PKCS#11 URI (RFC 7512). Raises SetupError."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    token = dict(part.partition("=")[::2] for part in path.split(";")).get("token", "")
    module = parse_qs(query).get("module-path", [""])[0]
    if scheme != "pkcs11" or not token or not module:
        raise SetupError(_USAGE)
    return unquote(token), module


def _text(value: object) -> str:
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
