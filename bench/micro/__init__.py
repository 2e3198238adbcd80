"""Benches below the wire: what the rooms of storage cost by themselves. Nothing else of the bench knows storage."""
