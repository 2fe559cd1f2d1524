"""The real program, started as an operator starts it."""

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

MEDLOCK = str(Path(sys.executable).with_name("medlock"))
START_SECONDS = 60


def environment(directory):
    """An environment whose passphrase lies beside the data directory; so may the address of a database."""
    passphrase = directory.with_name(directory.name + ".passphrase")
    if not passphrase.exists():
        passphrase.write_text("correct horse battery staple\n")
        passphrase.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDLOCK_")}
    store = directory.with_name(directory.name + ".store")
    elsewhere = {"MEDLOCK_STORE": store.read_text()} if store.exists() else {}
    elsewhere["MEDLOCK_RATES"] = "all=off"  # a test asks faster than people do; those of limits set their own
    return kept | {"MEDLOCK_DATA_DIR": str(directory), "MEDLOCK_PASSPHRASE_FILE": str(passphrase)} | elsewhere


def medlock(directory, *arguments, more=None, **options):
    """Run one command to its end; `more` are further variables of its environment."""
    return subprocess.run(
        [MEDLOCK, *arguments],
        env=environment(directory) | (more or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def new_token(directory, *arguments):
    """A token's secret and id."""
    done = medlock(directory, "token", "create", "--json", *(arguments or ("--role", "clinician")))
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return made["token"], made["id"]


class Server:
    """A running server and how to talk to it. What it logs goes to a pipe, or to the file `log` when it is much.

    `more` are further variables of its environment, `options` those of the process.
    """

    def __init__(self, directory, *arguments, log=None, more=None, **options):
        self.directory = directory
        kept = None if log is None else log.open("w")
        self.process = subprocess.Popen(
            [MEDLOCK, "serve", "--port", "0", *arguments],
            env=environment(directory) | (more or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=kept or subprocess.PIPE,
            text=True,
            **options,
        )
        if kept:
            kept.close()
        self.ready = json.loads(self._first_line())

    def _first_line(self):
        """The ready line, or a failed test with what the server said instead."""
        if select.select([self.process.stdout], [], [], START_SECONDS)[0]:
            line = self.process.stdout.readline()
            if line:
                return line
        self.process.kill()
        raise AssertionError(f"the server did not start: {self.process.communicate()[1]}")

    def client(self, token="", **more):
        """A client that trusts this server's authority and nobody else."""
        headers = {"accept": "application/fhir+json"} | ({"authorization": f"Bearer {token}"} if token else {})
        verify = ssl.create_default_context(cafile=self.ready["ca"]) if self.ready["ca"] else False
        return httpx.Client(base_url=self.ready["url"] + "/fhir", headers=headers, verify=verify, timeout=30, **more)

    def healthy(self):
        """Whether a stranger is told that all is well."""
        with self.client() as client:
            return client.get(self.ready["url"] + "/healthz").status_code == 200

    def tell(self, number):
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Stop it; exit code and what it wrote on stderr, but for what every start says of a site's policy."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, self.errors = self.process.communicate(timeout=60)
        lines = (self.errors or "").splitlines(keepends=True)
        return self.process.returncode, "".join(line for line in lines if '"event":"relationship-open"' not in line)


def children(pid):
    """Process ids of the serving processes below one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                worker = (entry / "comm").read_text().strip() != "medlock-keys"
                if parent == pid and worker and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def gone(pid):
    """Whether a process has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def eventually(true, seconds=30):
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


@contextmanager
def running(directory, *arguments, **options):
    """A server for the length of a block, stopped whatever happens; at a good end it has nothing to complain of."""
    server = Server(directory, *arguments, **options)
    try:
        yield server
    except BaseException:
        server.stop()
        raise
    assert server.stop() == (0, "")
