"""TLS from the first start: a local authority and a server certificate in `<data>/tls`, or the operator's own.

    tls/ca.pem      the authority's certificate: what clients are told to trust (0644)
    tls/ca-key.pem  its key (0600)
    tls/server.pem  the server's key, certificate and chain in one file, so that it is replaced in one step (0600)

A certificate with less than 30 days left, or one that does not name the host, is made anew; the authority stays, so
clients go on trusting. TLS 1.2 is the least; under it only forward-secret AEAD suites (RFC 9325 §4.2).
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from medlock.crypto.certificates import KeyPair, certificate_facts, make_authority, make_server
from medlock.errors import SetupError
from medlock.settings import Settings

RENEW_BEFORE = timedelta(days=30)
_SUITES_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the server's certificate and key lie; `authority` is what clients need to trust, None when public."""

    certificate: Path
    key: Path
    authority: Path | None


def prepare_tls(settings: Settings, now: datetime) -> TlsFiles:
    """The files to serve with, made or renewed when needed. Raises SetupError."""
    given = settings.tls_cert, settings.tls_key
    if settings.tls_cert is not None and settings.tls_key is not None:
        return _checked(TlsFiles(settings.tls_cert, settings.tls_key, None), now)
    if any(path is not None for path in given):
        raise SetupError("Give both --tls-cert and --tls-key, or neither.")
    directory = settings.data_dir / "tls"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        return _local(directory, hosts_of(settings), now)
    except OSError as fault:
        raise SetupError(f"The directory {directory} cannot be used: {fault.strerror}.") from fault


def hosts_of(settings: Settings) -> frozenset[str]:
    """The names that a client may know this server by."""
    hosts = {*_LOCAL, settings.host, urlsplit(settings.public_url).hostname or "localhost"}
    if settings.host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        hosts -= {settings.host}
        hosts.add(socket.gethostname())
    return frozenset(hosts)


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for uvicorn. Raises SetupError when key and certificate do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_SUITES_1_2)
    context.set_alpn_protocols(["http/1.1"])
    load_chain(context, files)
    return context


def load_chain(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Serve new connections with what the files hold now. Raises SetupError."""
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as fault:
        raise SetupError(
            f"The certificate {files.certificate} and key {files.key} cannot be used: check that both are PEM, that "
            "the key has no passphrase and that it belongs to the certificate."
        ) from fault


def _checked(files: TlsFiles, now: datetime) -> TlsFiles:
    """The operator's own files, if they can be read and have not expired."""
    try:
        facts = certificate_facts(files.certificate.read_bytes())
    except OSError as fault:
        raise SetupError(f"The certificate {files.certificate} cannot be read: {fault.strerror}.") from fault
    if facts.expires <= now:
        raise SetupError(f"The certificate {files.certificate} has expired: put a new one there.")
    return files


def _local(directory: Path, hosts: frozenset[str], now: datetime) -> TlsFiles:
    """The local authority's certificate for this server."""
    authority_path, server = directory / "ca.pem", directory / "server.pem"
    authority = _authority(authority_path, directory / "ca-key.pem", now)
    if not _serves_on(server, authority, hosts, now):
        made = make_server(authority, hosts, now)
        _write(server, made.key + made.certificate, 0o600)
    return TlsFiles(server, server, authority_path)


def _authority(path: Path, key_path: Path, now: datetime) -> KeyPair:
    """The authority there is, or a new one when there is none or it ends soon."""
    if path.exists() and key_path.exists():
        found = KeyPair(path.read_bytes(), key_path.read_bytes())
        if certificate_facts(found.certificate).expires - now > RENEW_BEFORE:
            return found
    made = make_authority(f"medlock local authority {socket.gethostname()}", now)
    _write(key_path, made.key, 0o600)
    _write(path, made.certificate, 0o644)
    return made


def _serves_on(path: Path, authority: KeyPair, hosts: frozenset[str], now: datetime) -> bool:
    """Whether the certificate there is still good: long enough, for these hosts, by this authority."""
    if not path.exists():
        return False
    content = path.read_bytes()
    facts = certificate_facts(content)
    return facts.expires - now > RENEW_BEFORE and facts.covers(hosts) and content.endswith(authority.certificate)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, never readable by others on the way."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
