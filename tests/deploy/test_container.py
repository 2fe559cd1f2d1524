"""The container file, as far as it can be checked without an engine, and its health check against a real server."""

import re
import subprocess
import sys
from pathlib import Path

from medlock.settings import from_environment
from web.running import running

ROOT = Path(__file__).parents[2]
HEALTHCHECK = ROOT / "packaging/container/healthcheck.py"
FILE = (ROOT / "packaging/container/Containerfile").read_text()


def instructions():
    """Instruction and its argument, continuation lines joined, comments left out."""
    text = re.sub(r"\\\n\s*", "", "\n".join(line for line in FILE.splitlines() if not line.startswith("#")))
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line.strip()]


def test_nothing_is_fetched():
    """Packages come from the wheelhouse, by hash; no instruction asks a registry or an address."""
    (install,) = [text for word, text in instructions() if word == "RUN" and "pip install" in text]
    for option in ("--no-index", "--require-hashes", "--find-links /wheelhouse"):
        assert option in install
    assert not re.search(r"https?://|apt-get|curl |wget |ADD ", FILE)


def test_the_user_has_no_rights():
    """It is a number that is not 0, set before the program starts; the data directories are that user's."""
    words = [word for word, _ in instructions()]
    (user,) = [text for word, text in instructions() if word == "USER"]
    assert int(user.partition(":")[0]) > 0
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "-o medlock" in FILE


def test_what_is_copied_is_there():
    """Files of the repository that the file names exist; the wheelhouse is made by the script that it names."""
    for word, text in instructions():
        if word == "COPY" and not text.startswith("--from"):
            source = text.split()[0]
            assert source == "wheelhouse" or (ROOT / source).exists()
    assert (ROOT / "scripts/wheelhouse.sh").exists()


def test_its_variables_are_settings():
    """Each MEDLOCK_ variable is one that the program reads."""
    given = dict(re.findall(r"(MEDLOCK_\w+)=(\S+)", FILE))
    settings = from_environment(given)
    assert (str(settings.data_dir), str(settings.passphrase_file)) == (
        given["MEDLOCK_DATA_DIR"],
        given["MEDLOCK_PASSPHRASE_FILE"],
    )


def check(address):
    return subprocess.run([sys.executable, str(HEALTHCHECK), address], check=False, capture_output=True).returncode


def test_the_health_check_tells_ready_from_gone(tmp_path):
    """0 while the server answers, 1 when it is gone."""
    with running(tmp_path / "data") as server:
        assert check(server.ready["url"]) == 0
        address = server.ready["url"]
    assert check(address) == 1
