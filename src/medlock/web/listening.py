"""The socket to serve on and the lock that keeps a second server off the same data, both taken before anything else."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.web.tls import is_loopback

BACKLOG = 2_048


def listen(settings: Settings) -> socket.socket:
    """A listening socket; port 0 lets the system choose. Raises SetupError with what to do."""
    if not settings.tls and not is_loopback(settings.host):
        raise SetupError("Plain HTTP is served on loopback only: use --host 127.0.0.1, or leave TLS on.")
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, OverflowError) as fault:
        raise SetupError("The host to listen on is neither a name nor an address of this machine.") from fault
    family, kind, protocol, _, address = found
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as fault:
        listener.close()
        raise SetupError(_why_not(fault, settings)) from fault
    return listener


def _why_not(fault: OSError, settings: Settings) -> str:
    """A sentence for the operator."""
    if fault.errno == errno.EADDRINUSE:
        return f"Port {settings.port} is taken by another program: choose another with --port."
    if fault.errno == errno.EACCES:
        return f"Port {settings.port} needs more privileges: choose one above 1023 with --port."
    return f"This machine cannot listen on {settings.host}:{settings.port} ({fault.strerror})."


@contextmanager
def only_server(data_dir: Path) -> Iterator[None]:
    """Hold `<data>/serve.lock` while serving. Raises SetupError when another server has it.

    The system lets go of it when the process ends, however it ends. Commands beside a server do not need it.
    """
    try:
        handle = os.open(data_dir / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise SetupError(f"The data directory {data_dir} cannot be written to: {fault.strerror}.") from fault
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as fault:
        raise SetupError(
            f"Another medlock server is using {data_dir}: stop it first, or choose another --data-dir."
        ) from fault
    finally:
        os.close(handle)
