"""`python -m transport.cli` is the same as `greenroom`."""

from transport.cli import main

main()
