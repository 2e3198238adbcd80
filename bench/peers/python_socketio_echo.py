"""python-socketio on uvicorn with uvloop and `websockets`: what a Python developer would pick instead.

It answers each action with an event of our shape, to its sender or, with `--to-all`, to everybody; it stores nothing.
"""

import socket
import sys
from typing import Any

import socketio
import uvicorn


def main() -> None:
    """Serve until killed."""
    server = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=4 * 1024 * 1024)
    ids, to_all = iter(range(10**12)), "--to-all" in sys.argv[1:]

    async def echo(sid: str, action: dict[str, Any]) -> None:
        event = {
            "id": next(ids),
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "source": "user",
            "message": action["args"]["content"],
            "action": "message",
            "args": {**action["args"], "file_urls": None, "image_urls": None, "wait_for_response": False},
        }
        await server.emit("oh_event", event, to=None if to_all else sid)

    server.on("oh_user_action", echo)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"python-socketio on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        socketio.ASGIApp(server),
        loop="uvloop",
        ws="websockets",
        ws_ping_interval=None,  # Engine.IO has a heartbeat of its own, and clients for load answer no other
        log_level="error",
        access_log=False,
        lifespan="off",
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
