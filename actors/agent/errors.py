"""The errors of a run, as seen by the agent that performs it.

What lives here: the two exceptions that pass through an agent on their way to the run's supervisor. What must
not: an agent's own troubles. A command that fails or a sandbox that does not start is something to record
(K30), and a task that fails is an `Outcome`.
"""

__all__ = ["AgentError", "CrashedOnPurpose", "NotRuledOn", "RunOver"]


class AgentError(Exception):
    """Base of everything that a run raises on purpose."""


class RunOver(AgentError):
    """The run was ended meanwhile; what it brings is refused (K29). An agent lets this pass."""


class CrashedOnPurpose(AgentError):
    """Somebody asked understudy to crash, to see what becomes of the others."""


class NotRuledOn(AgentError):
    """The agent recorded a command as if it were a fact. Commands go through `Recorder.act`, so that none is done
    that nobody has ruled on."""
