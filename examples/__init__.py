"""Small programs to start from, each run by one command; the tests run them too.

On the actor kernel: `python -m examples.counter`, `python -m examples.account`. They import `actors.runtime`, trio and
nothing else of ours. On the Socket.IO server: `python -m examples.echo`, which imports `transport.socketio` alone. What
they do, any program can.
"""
