"""Refusals: a command that has no effect, and why."""

from actors.agent.errors import RunOver as AgentRunOver

__all__ = ["BadKey", "EventIdMismatch", "KeyReused", "Refused", "RunOver", "TooManyConversations"]


class Refused(Exception):
    """The command does not fit the state; `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RunOver(Refused, AgentRunOver):
    """A report of a run that has ended already (K29): refused like any command, and what the agent's port promises."""

    def __init__(self, run: int) -> None:
        super().__init__("run_over", f"run {run} is over")


class TooManyConversations(Refused):
    """Every place for a run-time is taken by somebody busy; nobody busy is closed for another (unlike V0)."""

    def __init__(self) -> None:
        super().__init__("too_many_conversations", "too many conversations are busy; stop one or try again later")


class BadKey(Refused):
    """A secret must not lie in a log, and a key that were hidden there could not be found again."""

    def __init__(self) -> None:
        super().__init__("bad_key", "the idempotency key contains a secret; take a random one, a UUID for example")


class KeyReused(Refused):
    """The key was used before, for something else (K11)."""

    def __init__(self) -> None:
        super().__init__("key_reused", "this idempotency key was used before, for another request")


class EventIdMismatch(Refused):
    """Something has happened that the client has not seen (K12)."""

    def __init__(self, last_event_id: int) -> None:
        super().__init__("event_id_mismatch", f"the conversation's last event is {last_event_id}, not the expected one")
        self.last_event_id = last_event_id
