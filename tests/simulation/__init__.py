"""A whole server in one process, on virtual time, from one seed: whatever goes wrong can be had again.

Everything above the byte streams is the real thing: gateway, sessions, conversations, kernel, store. Below it are a
disk that loses what a power cut may take (`tests.fakes.sim_disk`), links in memory and trio's clock and scheduler, all
of them drawn from the seed. Clients do what clients do, a plan of faults does the rest, and checkers hold what comes
out against the rules. `make simulate` runs many seeds; a seed that fails prints the one command that replays it.

hypercorn, threads and processes stay outside; tests/e2e has the real ones.
"""
