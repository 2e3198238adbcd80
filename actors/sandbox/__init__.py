"""Where an agent's commands run: a port, and real processes behind it, in bubblewrap where that works."""
