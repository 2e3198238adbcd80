"""What holds for all tests."""

import signal

import pytest
import structlog
from hypothesis import HealthCheck, settings

# A machine that is busy with something else is no failure of what is tested; deadlines of ours have tests of their own.
settings.register_profile("greenroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("greenroom")

# Left alone, structlog draws a traceback with the values of all variables, in a quarter of a second; tests crash much.
_PROCESSORS = structlog.get_config()["processors"]
structlog.configure(
    [*_PROCESSORS[:-1], structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)

# Who runs the tests in the background of a script hands down a SIGINT that is ignored, and with it every process here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--crash-images",
        type=int,
        default=150,
        metavar="N",
        help="of each step of the disk, try N images that a power cut may leave (tests/storage/crash_points)",
    )
