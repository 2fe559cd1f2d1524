"""What a service manager is told: sd_notify(3), one datagram on the socket that it names in NOTIFY_SOCKET.

Thirty lines of our own instead of a package: the protocol is `NAME=value` lines in one datagram, and whoever does not
listen must not hurt. Without the variable nothing is sent.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress


class Notifier:
    """Tells the manager at `address`; an empty address means that there is none."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """Requests are answered."""
        self._send("READY=1", "STATUS=Answering requests.")

    def reloading(self) -> None:
        """New workers are being started; the former ones go on answering."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Starting new workers.")

    def stopping(self) -> None:
        """No new connections; running requests are finished."""
        self._send("STOPPING=1", "STATUS=Finishing running requests.")

    def status(self, sentence: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={sentence}")

    def _send(self, *lines: str) -> None:
        """A manager that went away is no reason to stop serving."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto("\n".join(lines).encode(), self._address)
