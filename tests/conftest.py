"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A machine that is busy with something else is no failure of what is tested; deadlines of ours have tests of their own.
settings.register_profile("greenroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("greenroom")
