"""One conversation: its state (pure), its actor (thin), its run-time, its readers; and the service in front of all."""
