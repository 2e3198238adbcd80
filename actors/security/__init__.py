"""Whether what an agent wants to do is dangerous, and what follows from that: ports and pure rules."""
