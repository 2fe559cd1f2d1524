"""One clinic for all tests of a process."""

import pytest

from browser.chromium import chromium, program
from browser.clinic import Clinic, invited, trusted
from web.running import running


@pytest.fixture(scope="session")
def clinic(tmp_path_factory):
    """Served by the real program, over TLS."""
    program()
    directory = tmp_path_factory.mktemp("browser") / "data"
    codes = invited(directory)
    with running(directory) as server:
        ready = server.ready
        with chromium(trusted(ready["ca"])) as browser:
            yield Clinic(ready["url"], ready["ca"], browser, codes, server)


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
