"""A Socket.IO 5 server for trio: `Server`, `Namespace` and `serve` are where to begin (docs/socketio.md).

What lives here: the names that others may use. Nothing below this package, `transport.engineio` and the listener knows
of the rest of the project.
"""

from transport.engineio.connection import Peer
from transport.engineio.options import Options
from transport.errors import AckTimeout, ConnectionClosed, EventRefused, NotEncodable, TooManyAcks
from transport.socketio.namespace import Namespace
from transport.socketio.server import Accept, Ack, Connection, Handler, Refuse, Server
from transport.socketio.serving import serve

__all__ = [
    "Accept",
    "Ack",
    "AckTimeout",
    "Connection",
    "ConnectionClosed",
    "EventRefused",
    "Handler",
    "Namespace",
    "NotEncodable",
    "Options",
    "Peer",
    "Refuse",
    "Server",
    "TooManyAcks",
    "serve",
]
