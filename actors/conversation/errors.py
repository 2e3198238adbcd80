"""Refusals: a command that has no effect, and why."""

from actors.agent.errors import RunOver as AgentRunOver

__all__ = ["Refused", "RunOver"]


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
