"""Bytes, keys, positions and disks. This package has never heard of what a conversation means."""
