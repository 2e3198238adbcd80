"""Load benchmarks: they speak over the wire, to our server, to its peers, and to any other that speaks the same."""
