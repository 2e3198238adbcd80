"""Every error of the outside world, in one tree, with its leaves sorted by who is to blame.

What lives here: the types that the wire raises and that callers of `transport` may catch. What must not: handling,
logging, or a status code (the one table from error to answer belongs to the HTTP room). The three branches exist
because they end differently: a client's fault closes that client's connection and is never logged as ours, a
network fault is ordinary weather, and a fault of ours is logged with an id and told to strangers as "Internal error".
"""

__all__ = [
    "AckTimeout",
    "BrokenFrame",
    "ClientFault",
    "ConnectionClosed",
    "EventRefused",
    "NetworkFault",
    "NotEncodable",
    "OurFault",
    "PacketError",
    "PayloadTooLarge",
    "ProtocolViolation",
    "TooManyAcks",
    "TransportError",
    "WriteTimeout",
]


class TransportError(Exception):
    """Base of everything that `transport` raises on purpose."""


class ClientFault(TransportError):
    """The peer sent something that it must not send; only its own connection ends."""


class PacketError(ClientFault):
    """These bytes are not a packet."""


class ProtocolViolation(ClientFault):
    """A well-formed packet that is not allowed in the present state."""


class BrokenFrame(ProtocolViolation):
    """A WebSocket frame or message that RFC 6455 or a limit does not allow; `code` is the close code that says why."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code

    @property
    def told(self) -> bytes:
        """What a close frame says of it: the code and, since a close frame has room for a line, the words."""
        return self.code.to_bytes(2, "big") + str(self).encode()


class PayloadTooLarge(ClientFault):
    """A body or message beyond its named limit."""


class EventRefused(ClientFault):
    """An event whose arguments its handler cannot take; the connection goes on, and an ack says why."""


class NetworkFault(TransportError):
    """The connection failed; nobody did anything wrong."""


class ConnectionClosed(NetworkFault):
    """The connection is over. What was handed to it and not yet acknowledged may or may not have arrived."""


class WriteTimeout(NetworkFault):
    """The peer took no byte for the write timeout (K33); the socket has been closed."""


class AckTimeout(NetworkFault):
    """The client did not acknowledge in time. It may or may not have got the event; its answer will be ignored."""


class TooManyAcks(NetworkFault):
    """The client owes as many acknowledgements as it may; nothing was sent."""


class OurFault(TransportError):
    """A mistake on this side of the wire."""


class NotEncodable(OurFault):
    """A value that JSON cannot carry was handed to an encoder; nothing was sent."""
