"""The event log of one conversation: append in atomic batches, read by id.

`EventLog` is the one writer (K3): opening it verifies what may have been torn and repairs it (K16, K17). `LogView`
reads without writing: cold conversations, and damaged ones up to the damage. Both hand out the event bytes exactly as
they were given: each is held against its checksum, none is decoded. Opening starts from the snapshot and reading from a
sparse index, so that neither depends on how long the history is.
"""

from storage.event_log.log import EventLog
from storage.event_log.opening import Repair
from storage.event_log.reader import LogView

__all__ = ["EventLog", "LogView", "Repair"]
