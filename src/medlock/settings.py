"""All settings, read once: defaults that are safe, then the environment, then the command line.

Nothing below reads the environment; `app.py` hands each part the few values that it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from medlock.errors import SetupError

MIB = 1024 * 1024
REVIEW_DAYS_MAX = 30
DRAIN_MAX = 3_600
FULL, NORMAL = "full", "normal"
BINARY_MIB_MAX = 65_536
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_RATE = re.compile(r"([a-z_]+)=(?:off|([1-9][0-9]{0,8})/([smhd]))")
_LINE = re.compile(r'\s*(MEDLOCK_[A-Z_]+)=((?!").*|"([^"]*)"\s*)')


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for; beyond it the answer is 4xx, never a slow server.

    `binary_bytes` bounds a content that comes as itself and is sealed as it arrives; all else is held whole.
    """

    resource_bytes: int = MIB
    bundle_bytes: int = 16 * MIB
    binary_json_bytes: int = 16 * MIB
    binary_bytes: int = 256 * MIB
    bundle_entries: int = 20_000
    page_size: int = 50
    page_size_max: int = 1_000
    include_max: int = 1_000
    page_token_seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class Quota:
    """So many in so many seconds; an amount of 0: as many as one likes."""

    amount: int
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Rates:
    """How often one may ask. A read counts one, a search five, $everything fifty, an export two hundred.

    user            of one person, over all their apps
    backend         of one program that acts for itself
    loader          of one that brings records in
    app             of one app, over all people who use it
    patient         about one patient, by whoever names that one
    anonymous       of one address, without valid credentials
    address         of one address, on all addresses of the server outside /fhir together
    page            of one session, or one address without, on pages for people
    login           of one address, refused attempts with a secret; accounts have counters of their own
    token           of one client at one address, refused requests at the token endpoint
    introspection   of one client at one address
    registration    of one address
    people_patients    different patients that one person may see in an hour; an alarm is raised at half of it
    program_patients   the same for a program, exports aside
    """

    user: Quota = Quota(600)
    backend: Quota = Quota(1_200)
    loader: Quota = Quota(60_000)
    app: Quota = Quota(30_000)
    patient: Quota = Quota(1_200)
    anonymous: Quota = Quota(60)
    address: Quota = Quota(6_000)
    page: Quota = Quota(1_200)
    login: Quota = Quota(30)
    token: Quota = Quota(30)
    introspection: Quota = Quota(600)
    registration: Quota = Quota(10, 86_400)
    people_patients: Quota = Quota(1_000, 3_600)
    program_patients: Quota = Quota(20_000, 3_600)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where medlock keeps its data and where it listens.

    store           address of the PostgreSQL database that holds the sealed tables; empty: a file in `data_dir`
    keystore_dir    where the keystore lies, when it is not in `data_dir`: for several servers on one store
    drain_seconds   how long running requests may go on when a process is to end
    admin           where counts are shown to Prometheus: host:port on loopback, or unix:/path; empty: nowhere
    otlp            address that takes traces; empty: none are made
    notify_socket   where a service manager listens (sd_notify); empty: nobody does
    key_service     address of the key service, where `key_provider` is one
    key_credential  file with what opens that service; None: the platform gives it
    broker          socket of the key broker that holds the epoch keys; None: this process holds them
    deid_key_file   key of the project that the server de-identifies for; None: for none
    deid_preset     how it does it for researchers
    deid_text       what becomes of notes: drop, known, clean
    consent_policy  what holds where no consent speaks: deny, basic-normal, permit-all, break-glass-only
    consent_purposes  the site's own purposes of use, "system|code=HRESCH" with commas between them
    clearance       "normal": the key broker gives this server no keys to sensitive classes; "full": all
    consent_r4      "on": consents may say what R4 knows and IHE PCF leaves out
    controller      the Organization that answers for the records (GDPR Art. 4(7)): `Organization/id`; empty: unsaid
    jurisdiction    the law that applies, as receipts of consent name it, such as "DE"
    privacy_policy  address of the site's privacy policy, for the same receipts
    review_days     working days in which an emergency access is to be reviewed
    relationship    "required": clinical roles see patients whom they treat; "open": all
    two_persons     "on": who is to treat patients is approved by a second operator
    rate_store      where quotas are counted: "memory" (each worker by itself), "store", a redis or valkey address;
                    empty: memory for one worker, the store for several
    proxies         addresses or networks whose X-Forwarded-For is believed
    password_policy which profile for which role (docs/identity.md); empty: nist for everybody
    """

    data_dir: Path
    store: str = field(default="", kw_only=True, repr=False)  # it may hold a password
    keystore_dir: Path | None = field(default=None, kw_only=True)
    passphrase_file: Path | None = None
    key_provider: str = "passphrase-file"
    key_service: str = ""
    key_credential: Path | None = None
    broker: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8443
    public_url: str = ""
    tls: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    workers: int = 1
    log_requests: bool = False
    drain_seconds: int = 20
    notify_socket: str = ""
    admin: str = ""
    otlp: str = ""
    deid_key_file: Path | None = None
    deid_preset: str = "safe-harbor"
    deid_text: str = "drop"
    consent_policy: str = "permit-all"
    consent_purposes: str = ""
    consent_r4: str = "off"
    controller: str = ""
    jurisdiction: str = ""
    privacy_policy: str = ""
    review_days: int = 2
    relationship: str = "open"
    two_persons: str = "off"
    clearance: str = FULL
    password_policy: str = ""
    limits: Limits = Limits()
    rates: Rates = Rates()
    rate_store: str = field(default="", repr=False)  # it may hold a password
    proxies: tuple[str, ...] = ()

    @property
    def cleared(self) -> bool:
        """Whether sensitive classes may be opened."""
        return self.clearance == FULL

    @property
    def keys_dir(self) -> Path:
        """The directory of the keystore."""
        return self.keystore_dir or self.data_dir

    @property
    def base_url(self) -> str:
        """The address clients use, ending in /fhir; it stands in every fullUrl and link."""
        root = self.public_url or f"{'https' if self.tls else 'http'}://{self.shown_host}:{self.port}"
        return root.rstrip("/") + "/fhir"

    @property
    def shown_host(self) -> str:
        """The host name printed to people: loopback addresses read as localhost."""
        return "localhost" if self.host in {"127.0.0.1", "::1", "localhost"} else self.host


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings as the environment gives them; unset means the default."""
    environ = {**environ, **_from_file(environ.get("MEDLOCK_ENV_FILE", ""))}
    passphrase = environ.get("MEDLOCK_PASSPHRASE_FILE")
    credential = environ.get("MEDLOCK_KEY_CREDENTIAL_FILE")
    keystore = environ.get("MEDLOCK_KEYSTORE_DIR")
    deid_key = environ.get("MEDLOCK_DEID_KEY_FILE")
    return Settings(
        data_dir=Path(environ.get("MEDLOCK_DATA_DIR", "medlock-data")),
        keystore_dir=Path(keystore) if keystore else None,
        passphrase_file=Path(passphrase) if passphrase else None,
        key_provider=environ.get("MEDLOCK_KEY_PROVIDER", "passphrase-file"),
        key_service=environ.get("MEDLOCK_KEY_SERVICE", ""),
        key_credential=Path(credential) if credential else None,
        store=environ.get("MEDLOCK_STORE", ""),
        public_url=environ.get("MEDLOCK_PUBLIC_URL", ""),
        drain_seconds=_seconds(environ.get("MEDLOCK_DRAIN_SECONDS", "20")),
        otlp=environ.get("MEDLOCK_OTLP_ENDPOINT", ""),
        deid_key_file=Path(deid_key) if deid_key else None,
        deid_preset=environ.get("MEDLOCK_DEID_PRESET", "safe-harbor"),
        deid_text=environ.get("MEDLOCK_DEID_TEXT", "drop"),
        consent_policy=environ.get("MEDLOCK_CONSENT_POLICY", "permit-all"),
        consent_purposes=environ.get("MEDLOCK_CONSENT_PURPOSES", ""),
        consent_r4=environ.get("MEDLOCK_CONSENT_R4", "off"),
        controller=environ.get("MEDLOCK_CONTROLLER", ""),
        jurisdiction=environ.get("MEDLOCK_JURISDICTION", ""),
        privacy_policy=environ.get("MEDLOCK_PRIVACY_POLICY", ""),
        review_days=_days(environ.get("MEDLOCK_REVIEW_DAYS", "2")),
        two_persons=environ.get("MEDLOCK_TWO_PERSONS", "off"),
        relationship=environ.get("MEDLOCK_RELATIONSHIP", "open"),
        clearance=_clearance(environ.get("MEDLOCK_CLEARANCE", FULL)),
        password_policy=environ.get("MEDLOCK_PASSWORD_POLICY", ""),
        notify_socket=environ.get("NOTIFY_SOCKET", ""),
        limits=Limits(binary_bytes=_mebibytes(environ.get("MEDLOCK_BINARY_MIB", "256"))),
        rates=rates_of(environ.get("MEDLOCK_RATES", "")),
        rate_store=environ.get("MEDLOCK_RATE_STORE", ""),
        proxies=tuple(environ.get("MEDLOCK_PROXIES", "").replace(",", " ").split()),
    )


def two_persons(settings: Settings) -> bool:
    """Whether roles that treat take two operators. Raises SetupError."""
    if settings.two_persons not in {"on", "off"}:
        raise SetupError("MEDLOCK_TWO_PERSONS is on or off.")
    return settings.two_persons == "on"


def rates_of(text: str) -> Rates:
    """Quotas as `name=amount/unit`, with spaces between; unit s, m, h or d; `name=off` for none. Raises SetupError.

    `all=off` is for measuring and for tests.
    """
    quotas = {each.name: getattr(Rates(), each.name) for each in fields(Rates)}
    for word in text.split():
        form = _RATE.fullmatch(word)
        if form is None or (form[1] != "all" and form[1] not in quotas) or (form[1] == "all" and form[2]):
            names = ", ".join(quotas)
            raise SetupError(f"MEDLOCK_RATES is of the form user=600/m token=30/m page=off; names are {names}.")
        meant = list(quotas) if form[1] == "all" else [form[1]]
        quotas |= dict.fromkeys(meant, Quota(int(form[2] or 0), _UNITS.get(form[3] or "", 60)))
    return Rates(**quotas)


def _clearance(text: str) -> str:
    """Which classes may be opened. Raises SetupError: a word that is none is never taken for the wider one."""
    if text not in {FULL, NORMAL}:
        raise SetupError(f"MEDLOCK_CLEARANCE is {FULL} or {NORMAL}.")
    return text


def _mebibytes(text: str) -> int:
    """How large a content may be, in bytes. Raises SetupError."""
    if not text.isdecimal() or not 1 <= int(text) <= BINARY_MIB_MAX:
        raise SetupError(f"MEDLOCK_BINARY_MIB is a number of MiB from 1 to {BINARY_MIB_MAX}.")
    return int(text) * MIB


def _days(text: str) -> int:
    """Until when to review, in working days. Raises SetupError."""
    if not text.isdecimal() or not 1 <= int(text) <= REVIEW_DAYS_MAX:
        raise SetupError(f"MEDLOCK_REVIEW_DAYS is a number of working days from 1 to {REVIEW_DAYS_MAX}.")
    return int(text)


def _seconds(text: str) -> int:
    """How long to drain. Raises SetupError."""
    if not text.isdecimal() or int(text) > DRAIN_MAX:
        raise SetupError(f"MEDLOCK_DRAIN_SECONDS is a number of seconds from 0 to {DRAIN_MAX}.")
    return int(text)


def _from_file(path: str) -> dict[str, str]:
    """The variables in a file of NAME=value lines. They win over the environment's, which a running process keeps.

    Raises SetupError with the number of a line that cannot be read, never with its text.
    """
    if not path:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise SetupError(f"The file {path} that MEDLOCK_ENV_FILE names cannot be read.") from fault
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        form = _LINE.fullmatch(line)
        if form is None:
            raise SetupError(f"Line {number} of {path} is not of the form MEDLOCK_NAME=value.")
        found[form[1]] = form[2] if form[3] is None else form[3]
    return found
