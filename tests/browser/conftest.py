"""One clinic for all tests of a process; a Chromium for each file.

Playwright's loop runs in the thread that drives it, so no Chromium may be open while other files' tests run loops.
"""

import pytest

from browser.chromium import chromium, program
from browser.clinic import Clinic, invited, trusted
from web.running import Server

RATES = "page=6000/m login=600/m address=60000/m"  # all of these people sit at one address


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The real program over TLS, and codes of invitations that nobody has used."""
    program()
    directory = tmp_path_factory.mktemp("browser") / "data"
    codes = invited(directory)
    server = Server(directory, more={"MEDLOCK_RATES": RATES})
    try:
        yield server, codes
    finally:
        stopped = server.stop()
    assert stopped == (0, "")


@pytest.fixture(scope="module")
def clinic(served):
    """It, with a Chromium that trusts it."""
    server, codes = served
    with chromium(trusted(server.ready["ca"])) as browser:
        yield Clinic(server.ready["url"], server.ready["ca"], browser, codes, server)


@pytest.fixture
def person(clinic):
    """Makes visitors, and closes their browsers."""
    made = []

    def make(name, **more):
        made.append(clinic.visitor(name, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
