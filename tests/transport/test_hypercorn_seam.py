"""The private names of hypercorn that the listener leans on. When hypercorn is raised, this is what to read first."""

import inspect
from importlib.metadata import version

import h11
from hypercorn.protocol import h11 as theirs
from hypercorn.trio import task_group, tcp_server, worker_context


def test_hypercorn_and_trio_are_the_minor_versions_that_were_read() -> None:
    assert version("hypercorn").startswith("0.18.")
    assert version("trio").startswith("0.35.")


def test_the_protocol_is_built_and_overridden_as_we_do() -> None:
    names = ["app", "config", "context", "task_group", "connection_state", "ssl", "client", "server", "send"]
    assert list(inspect.signature(theirs.H11Protocol).parameters) == names
    for name in ("_create_stream", "_check_protocol", "_send_error_response", "handle"):
        assert inspect.iscoroutinefunction(getattr(theirs.H11Protocol, name))
    source = inspect.getsource(theirs.H11Protocol._handle_events)
    # A request is announced by these two calls, and outside the `try`, so an exception of ours gets through.
    assert source.index("await self._check_protocol(event)") < source.index("await self._create_stream(event)")
    # A head that our connection refuses to read is answered with the status that it names.
    assert source.index("self.connection.next_event()") < source.index("self._send_error_response(error.error_status")


def test_the_server_has_the_parts_that_our_run_is_made_of() -> None:
    parameters = ["app", "config", "context", "state", "stream"]
    assert list(inspect.signature(tcp_server.TCPServer).parameters) == parameters
    for name in ("_read_data", "_idle_timeout", "_close", "protocol_send"):
        assert inspect.iscoroutinefunction(getattr(tcp_server.TCPServer, name))
    caught = inspect.getsource(tcp_server.TCPServer._read_data)
    assert "trio.BrokenResourceError" in caught  # what our stream raises on its deadlines
    assert "shield = True" in inspect.getsource(tcp_server.TCPServer.protocol_send)
    assert hasattr(worker_context.WorkerContext(None), "terminated")
    assert hasattr(task_group.TaskGroup(), "_nursery")


def test_h11_keeps_the_bytes_behind_an_upgrade_request() -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81"
    )
    assert isinstance(connection.next_event(), h11.Request)
    assert connection.trailing_data == (b"\x81", False)
