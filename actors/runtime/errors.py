"""What can become of a command besides being done. Each error says what happened to the message."""

__all__ = [
    "ActorCrashed",
    "ActorError",
    "ActorFailed",
    "AskTimedOut",
    "CutOff",
    "Escalated",
    "Expired",
    "MailboxFull",
    "RegistryClosed",
    "ServerFull",
]


class ActorError(Exception):
    """Base of what the kernel answers in the actor's place."""


class MailboxFull(ActorError):
    """The command was not accepted and had no effect (K5); try again after `retry_after_seconds`."""

    def __init__(self, bound: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(f"mailbox full: {bound}")
        self.bound = bound
        self.retry_after_seconds = retry_after_seconds


class ServerFull(ActorError):
    """All mailboxes together hold as much as they may: not accepted, no effect (K5)."""


class Expired(ActorError):
    """The command waited past its deadline and was not executed (K7)."""


class AskTimedOut(ActorError):
    """The answer did not come in time, after the command had been taken: its outcome is unknown (K7)."""


class CutOff(ActorError):
    """Everything was cancelled while the actor was at the command: its outcome is unknown (K7)."""


class ActorCrashed(ActorError):
    """The actor crashed on this very command, before anything of it became durable (K24, K26)."""


class ActorFailed(ActorError):
    """The actor cannot be brought to life; `reason` is a short code such as `crash_loop` (K20, K25)."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class RegistryClosed(ActorError):
    """The registry is shutting down and accepts nothing new (K35)."""


class Escalated(ActorError):
    """A supervisor gave up: `child` crashed, and with that there were `crashes` within its window (K25)."""

    def __init__(self, supervisor: str, child: str, crashes: int) -> None:
        super().__init__(f"{supervisor}: {crashes} crashes, the last one of {child}")
        self.supervisor = supervisor
        self.child = child
        self.crashes = crashes
