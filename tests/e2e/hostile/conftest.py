"""One server for all attacks, with a bystander on it and short deadlines; its memory is watched while each goes on."""

from collections.abc import Iterator

import attrs
import pytest

from tests.e2e.hostile.bystander import Bystander
from tests.e2e.server import ServerProcess

MIB = 1024 * 1024

PAYLOAD_BYTES_MAX = 4 * MIB
"""What the server takes as one message (contract §2.1)."""

MEMORY_BYTES_MAX = 8 * PAYLOAD_BYTES_MAX
"""That one client may cost at any moment: the largest message as it was read, joined, and as text, its event, the line
of the log, and what the allocator has not given back. What is larger has a bound and a reason of its own."""

HANDSHAKES_MAX = 50
CONNECTIONS_PER_ADDRESS = 200
BUFFERED_BYTES_MAX = 16 * MIB
"""Small, so that a test can go beyond."""

SHORT = {
    "GREENROOM_HEAD_TIMEOUT": "1",
    "GREENROOM_BODY_TIMEOUT": "1",
    "GREENROOM_WRITE_TIMEOUT": "1",
    "GREENROOM_HANDSHAKES_MAX": str(HANDSHAKES_MAX),
    "GREENROOM_CONNECTIONS_PER_ADDRESS": str(CONNECTIONS_PER_ADDRESS),
    "GREENROOM_BUFFERED_BYTES_MAX": str(BUFFERED_BYTES_MAX),
    "GREENROOM_RATE_LIMIT": "0",
}


@attrs.define
class Target:
    """The server as attackers see it."""

    server: ServerProcess
    bystander: Bystander
    conversation_id: str
    memory_bytes_max: int = MEMORY_BYTES_MAX

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.server.url.rpartition(":")[2])


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    server = ServerProcess(tmp_path_factory.mktemp("hostile") / "data", SHORT)
    server.start()
    bystander = Bystander(server)
    bystander.start()
    try:
        yield Target(server, bystander, server.create("hello"))
        bystander.end()
    finally:
        server.kill()


@pytest.fixture
def target(shared: Target) -> Iterator[Target]:
    """The server, on which nobody else notices the test and whose memory stays below `memory_bytes_max` more."""
    shared.memory_bytes_max = MEMORY_BYTES_MAX
    logged = len(shared.server.log())
    before = shared.server.memory_bytes()
    shared.server.forget_peak()
    yield shared
    shared.bystander.goes_on()
    grown = shared.server.peak_memory_bytes() - before
    assert grown < shared.memory_bytes_max, f"{grown / MIB:.0f} MiB more at its peak"
    log = shared.server.log()[logged:]
    assert "Traceback" not in log
    assert "error_id" not in log
