"""An echo server for Socket.IO: `python -m examples.echo`.

Namespaces `/` and `/custom` do the same. Whoever joins gets `auth` with what it sent as auth; `message` comes back as
`message-back`, `message-with-ack` is acknowledged with its arguments, and `ask` has the server ask: it sends `question`
with the arguments and comes back as `answer` with what the client acknowledged. Binary arguments go both ways.
"""

import argparse
import signal
from functools import partial
from typing import Any

import trio

from transport.socketio import AckTimeout, Connection, Namespace, Options, Server, serve

echo = Namespace()


@echo.on_connected
def greet(connection: Connection) -> None:
    connection.emit("auth", connection.auth)


@echo.on("message")
def message(connection: Connection, *args: Any) -> None:
    connection.emit("message-back", *args)


@echo.on("message-with-ack")
def message_with_ack(_: Connection, *args: Any) -> tuple[Any, ...]:
    return args


@echo.on("query")
def query(connection: Connection) -> dict[str, str]:
    return dict(connection.query)


@echo.on("ask")
async def ask(connection: Connection, *args: Any) -> None:
    try:
        connection.emit("answer", *await connection.call("question", *args, timeout_seconds=5))
    except AckTimeout:
        connection.emit("answer", None)


@echo.on("leave")
def leave(connection: Connection, how: str) -> None:
    """`namespace`, `all` or `drop`: the three ways for a server to end it."""
    if how == "drop":
        connection.drop()
    else:
        connection.disconnect(close_transport=how == "all")


@echo.on("everybody")
def everybody(_: Connection, *args: Any) -> None:
    echo.emit("message-back", *args)


@echo.on_disconnected
def tell(connection: Connection, reason: str) -> None:
    print(f"left {connection.namespace}: {reason}", flush=True)


async def main(server: Server, host: str, port: int) -> None:
    """Until SIGTERM or Ctrl-C."""
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        start = partial(serve, server, host, port, stopping=stopping)
        listeners = await nursery.start(start)
        print(f"echo on http://{host}:{listeners[0].socket.getsockname()[1]}", flush=True)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        stopping.set()


def options() -> tuple[Options, str, int]:
    """What was typed; all times are in milliseconds."""
    parser = argparse.ArgumentParser(description="An echo server for Socket.IO.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=int, default=25_000, metavar="MS")
    parser.add_argument("--ping-timeout", type=int, default=20_000, metavar="MS")
    parser.add_argument("--connect-timeout", type=int, default=45_000, metavar="MS")
    parser.add_argument("--max-payload", type=int, default=1_000_000, metavar="BYTES")
    typed = parser.parse_args()
    wire = Options(
        ping_interval_seconds=typed.ping_interval / 1000,
        ping_timeout_seconds=typed.ping_timeout / 1000,
        connect_timeout_seconds=typed.connect_timeout / 1000,
        max_payload_bytes=typed.max_payload,
    )
    return wire, typed.host, typed.port


if __name__ == "__main__":
    wire, host, port = options()
    trio.run(main, Server({"/": echo, "/custom": echo}, wire), host, port)
