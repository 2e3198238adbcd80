"""`python -m bench.peers.bare_reader PORT COUNT`: connects so often, and reads whatever comes until the end.

A write to a connection costs more when somebody waits for it: the writer wakes the reader. So the baseline of fan-out
needs a reader, in a process of its own.
"""

import os
import select
import socket
import sys

RECEIVE_BYTES = 65_536


def main(port: int, count: int) -> None:
    connections = {}
    poll = select.epoll()
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connections[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    while connections:
        for fd, _ in poll.poll():
            if not os.read(fd, RECEIVE_BYTES):
                connections.pop(fd).close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
