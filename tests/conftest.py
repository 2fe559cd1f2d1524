"""What all tests share: these machines are noisy, so no example fails for having taken long."""

from hypothesis import settings

settings.register_profile("medlock", deadline=None)
settings.load_profile("medlock")
