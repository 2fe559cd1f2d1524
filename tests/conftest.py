"""What all tests share: these machines are noisy, so no example fails for having taken long."""

import pytest
from hypothesis import settings

from medlock.records import beat

settings.register_profile("medlock", deadline=None)
settings.load_profile("medlock")


@pytest.fixture(autouse=True, scope="session")
def _brisk():
    """Refusals wait for a beat that is as good as none, in this process: tens of thousands are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beat, "SECONDS", 1e-6)
        yield
