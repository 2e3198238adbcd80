"""The Engine.IO state machine by tables, with `now` in hand."""

from math import inf

import pytest

from transport.engineio.codec import NOOP, PING, PONG_PROBE, Packet, PacketType
from transport.engineio.session import (
    Close,
    CloseProbe,
    Deliver,
    Effect,
    Reason,
    ReleasePoll,
    Send,
    SendProbe,
    Session,
    Transport,
    Upgraded,
)

PONG = Packet(PacketType.PONG)
PROBE = Packet(PacketType.PING, "probe")
UPGRADE = Packet(PacketType.UPGRADE)
MESSAGE = Packet(PacketType.MESSAGE, "x")


def session(transport: Transport = Transport.POLLING) -> Session:
    return Session(25, 20, 10, transport, 0)


@pytest.mark.parametrize(
    ("packet", "effects"),
    [
        pytest.param(MESSAGE, (Deliver("x"),), id="message"),
        pytest.param(Packet(PacketType.CLOSE), (ReleasePoll(NOOP), Close(Reason.TRANSPORT_CLOSE)), id="B9 close"),
        pytest.param(Packet(PacketType.PING), (Close(Reason.TRANSPORT_ERROR),), id="B10 ping"),
        pytest.param(PROBE, (Close(Reason.TRANSPORT_ERROR),), id="B10 probe"),
        pytest.param(PONG, (), id="B11 unsolicited pong"),
        pytest.param(Packet(PacketType.OPEN), (), id="B11 open"),
        pytest.param(UPGRADE, (), id="B11 upgrade"),
        pytest.param(Packet(PacketType.NOOP), (), id="B11 noop"),
    ],
)
@pytest.mark.parametrize("transport", Transport)
def test_packets_on_the_main_transport(transport: Transport, packet: Packet, effects: tuple[Effect, ...]) -> None:
    assert session(transport).received(packet, 1) == effects


def test_c1_a_ping_an_interval_after_the_handshake_and_after_each_pong() -> None:
    it = session()
    assert it.deadline == 25
    assert it.tick(24.9) == ()
    assert it.tick(25) == (Send(PING),)
    assert it.received(PONG, 26) == ()
    assert it.deadline == 51
    it.received(MESSAGE, 30)  # other traffic does not move it
    assert it.deadline == 51


def test_c2_no_pong_in_time_closes() -> None:
    it = session()
    it.tick(25)
    assert it.tick(45) == (Close(Reason.PING_TIMEOUT),)
    assert it.deadline == inf
    assert it.received(MESSAGE, 46) == ()
    assert it.tick(100) == ()


@pytest.mark.parametrize(("late", "deadline"), [(0.5, 45), (10, 45), (100, 135)])
def test_c2_the_timeout_counts_from_when_the_ping_was_due_but_leaves_half_of_itself(
    late: float, deadline: float
) -> None:
    it = session()
    it.tick(25 + late)
    assert it.deadline == deadline


def test_c3_other_packets_extend_the_wait_once_per_ping() -> None:
    it = session()
    it.tick(25)
    it.received(MESSAGE, 40)
    assert it.deadline == 60
    it.received(MESSAGE, 50)
    assert it.deadline == 60
    it.received(PONG, 55)
    it.tick(80)
    it.received(MESSAGE, 81)
    assert it.deadline == 101


def test_c5_a_ping_lost_in_the_upgrade_does_not_close() -> None:
    it = session()
    it.tick(25)
    it.probe_opened(26)
    it.probe_received(PROBE, 26)
    it.probe_received(UPGRADE, 27)
    assert it.tick(45) == ()
    assert it.tick(52) == (Send(PING),)


def test_d1_d2_the_probe_is_answered_and_the_poll_released() -> None:
    it = session()
    assert it.probe_opened(1)
    assert not it.releases_polls
    assert it.probe_received(PROBE, 1) == (SendProbe(PONG_PROBE), ReleasePoll(NOOP))
    assert it.releases_polls
    assert it.received(MESSAGE, 1) == (Deliver("x"),)  # D6: polling goes on meanwhile
    assert it.probe_received(UPGRADE, 2) == (ReleasePoll(NOOP), Upgraded())  # D7, D8
    assert it.transport is Transport.WEBSOCKET
    assert not it.releases_polls


@pytest.mark.parametrize("packet", [UPGRADE, MESSAGE, Packet(PacketType.PING), PONG])
def test_d3_anything_but_the_probe_first_ends_the_probe_alone(packet: Packet) -> None:
    it = session()
    it.probe_opened(1)
    assert it.probe_received(packet, 1) == (CloseProbe(),)
    assert it.closed is None
    assert it.probe_opened(2)


@pytest.mark.parametrize("packet", [MESSAGE, Packet(PacketType.CLOSE), Packet(PacketType.PING)])
def test_d4_anything_but_the_upgrade_second_ends_the_probe_alone(packet: Packet) -> None:
    it = session()
    it.probe_opened(1)
    it.probe_received(PROBE, 1)
    assert it.probe_received(PROBE, 1) == (SendProbe(PONG_PROBE), ReleasePoll(NOOP))
    assert it.probe_received(packet, 1) == (CloseProbe(),)
    assert it.transport is Transport.POLLING


def test_d9_d12_no_second_websocket() -> None:
    it = session()
    it.probe_opened(1)
    assert not it.probe_opened(1)
    assert not session(Transport.WEBSOCKET).probe_opened(1)


def test_d10_an_upgrade_that_stalls_ends_and_the_session_lives() -> None:
    it = session()
    it.probe_opened(1)
    assert it.deadline == 11
    assert it.tick(11) == (CloseProbe(),)
    assert it.deadline == 25
    assert it.closed is None


def test_d13_closing_during_the_upgrade_closes_both() -> None:
    it = session()
    it.probe_opened(1)
    assert it.close(Reason.FORCED_SERVER_CLOSE) == (CloseProbe(), Close(Reason.FORCED_SERVER_CLOSE))
    assert it.close(Reason.PING_TIMEOUT) == ()
    assert it.closed is Reason.FORCED_SERVER_CLOSE


@pytest.mark.parametrize("reason", [Reason.FORCED_CLOSE, Reason.FORCED_SERVER_CLOSE, Reason.SHUTTING_DOWN])
def test_d13_what_this_side_ends_in_the_middle_of_an_upgrade_is_said_when_the_upgrade_is_there(reason: Reason) -> None:
    it = session()
    it.probe_opened(1)
    it.probe_received(PROBE, 1)
    assert it.close(reason) == (Close(reason),)
    assert it.probe_received(UPGRADE, 2) == (ReleasePoll(NOOP), Upgraded())
    assert it.deadline == inf


def test_d13_a_probe_of_a_session_that_has_ended_is_closed_at_any_other_word() -> None:
    it = session()
    it.probe_opened(1)
    it.probe_received(PROBE, 1)
    it.close(Reason.FORCED_CLOSE)
    assert it.probe_received(PROBE, 2) == (CloseProbe(),)


def test_d13_what_the_client_ends_takes_its_probe_with_it() -> None:
    it = session()
    it.probe_opened(1)
    it.probe_received(PROBE, 1)
    assert it.close(Reason.TRANSPORT_ERROR) == (CloseProbe(), Close(Reason.TRANSPORT_ERROR))


def test_c2_who_is_not_read_is_not_given_up() -> None:
    it = session()
    it.tick(25)
    it.deaf = True
    assert it.tick(45) == ()
    assert it.deadline == 65
    it.deaf = False
    assert it.tick(65) == (Close(Reason.PING_TIMEOUT),)
