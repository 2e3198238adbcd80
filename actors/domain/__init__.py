"""The vocabulary of a conversation: events (facts), commands (imperatives) and the codec between events and bytes."""
