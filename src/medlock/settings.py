"""All settings, read once: defaults that are safe, then the environment, then the command line.

Nothing below reads the environment; `app.py` hands each part the few values that it needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for; beyond it the answer is 4xx, never a slow server."""

    resource_bytes: int = MIB
    bundle_bytes: int = 16 * MIB
    bundle_entries: int = 20_000
    page_size: int = 50
    page_size_max: int = 1_000
    include_max: int = 1_000
    page_token_seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class Settings:
    """Where medlock keeps its data and where it listens.

    store           address of the PostgreSQL database that holds the sealed tables; empty: a file in `data_dir`
    key_service     address of the key service, where `key_provider` is one
    key_credential  file with what opens that service; None: the platform gives it
    broker          socket of the key broker that holds the epoch keys; None: this process holds them
    """

    data_dir: Path
    store: str = field(default="", kw_only=True, repr=False)  # it may hold a password
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
    limits: Limits = Limits()

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
    passphrase = environ.get("MEDLOCK_PASSPHRASE_FILE")
    credential = environ.get("MEDLOCK_KEY_CREDENTIAL_FILE")
    return Settings(
        data_dir=Path(environ.get("MEDLOCK_DATA_DIR", "medlock-data")),
        passphrase_file=Path(passphrase) if passphrase else None,
        key_provider=environ.get("MEDLOCK_KEY_PROVIDER", "passphrase-file"),
        key_service=environ.get("MEDLOCK_KEY_SERVICE", ""),
        key_credential=Path(credential) if credential else None,
        store=environ.get("MEDLOCK_STORE", ""),
        public_url=environ.get("MEDLOCK_PUBLIC_URL", ""),
    )
