"""What can go wrong below the actors, each error named for what became of the data."""

__all__ = [
    "BadCursor",
    "ConversationExists",
    "ConversationNotFound",
    "CorruptLog",
    "DamagedDocument",
    "LogClosed",
    "NothingToRepair",
    "OutcomeUnknown",
    "SecretUnreadable",
    "StorageDegraded",
    "StorageError",
    "StorageFailing",
    "StoreLocked",
    "UnknownFormat",
    "Unreadable",
]


class StorageError(Exception):
    """Base of everything that storage raises."""


class StoreLocked(StorageError):
    """Another process holds the data folder (K3)."""


class UnknownFormat(StorageError):
    """The data folder was written by a version that this one does not understand."""


class ConversationNotFound(StorageError):
    """No conversation has this id."""


class ConversationExists(StorageError):
    """There is a conversation with this id already."""


class CorruptLog(StorageError):
    """A bad record with valid ones after it: nothing is cut, everything before it can be read (K16)."""

    def __init__(self, path: str, *, offset: int, event_id: int, why: str) -> None:
        super().__init__(f"{path}: record {event_id} at byte {offset}: {why}")
        self.path = path
        self.offset = offset
        self.event_id = event_id
        self.why = why


class StorageDegraded(StorageError):
    """The write failed and was cut back: nothing of it is there, and later it may succeed (K14)."""


class OutcomeUnknown(StorageError):
    """The sync failed: whether the batch is there is known only after the log was read again (K15)."""


class StorageFailing(StorageError):
    """Syncs of this log fail again and again: it is the disk, and it is not tried again by itself (K15)."""


class Unreadable(StorageError):
    """The disk could not read: nothing has changed, and later it may be well again."""


class LogClosed(StorageError):
    """The log takes no more events: it was closed, or a sync on it has failed."""


class NothingToRepair(StorageError):
    """The log is whole: nothing is cut."""


class DamagedDocument(StorageError):
    """A document does not hold what was stored in it: nothing is overwritten, an operator must look at it."""


class SecretUnreadable(StorageError):
    """A sealed document opens with none of the secrets that this server has; it stays as it is."""


class BadCursor(StorageError):
    """A page cursor that this store never gave out."""
