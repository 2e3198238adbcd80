"""Small programs on the actor kernel: `python -m examples.counter`, `python -m examples.account`.

They import `actors.runtime`, trio and nothing else of ours: what they do, any program can.
"""
