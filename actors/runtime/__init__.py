"""A small actor kernel on trio: mailboxes, references, supervised lives, a registry of virtual actors.

It imports nothing of ours; someone could lift it out as a library. An actor here is *virtual*: a `Ref` names a key,
and the registry sees to it that at most one incarnation is alive behind that key (K1), that commands sent while it
wakes, crashes or leaves wait in its mailbox and reach the next incarnation in order (K20, K23, K24).
"""

from actors.runtime.alarms import Alarms, AlarmsStatistics
from actors.runtime.behaviour import Behaviour, CannotActivate, Context
from actors.runtime.cell import Cell
from actors.runtime.dead_letters import DeadLetter, DeadLetters
from actors.runtime.errors import (
    ActorCrashed,
    ActorError,
    ActorFailed,
    AskTimedOut,
    CutOff,
    Escalated,
    Expired,
    MailboxFull,
    RegistryClosed,
    ServerFull,
)
from actors.runtime.facts import CellStatistics, Residency, Terminated, TurnStatistics
from actors.runtime.guard import guarded
from actors.runtime.mailbox import Envelope, Lane, Load, Mailbox, MailboxLimits, MailboxStatistics, Promise, Reply
from actors.runtime.registry import Ref, Registry, RegistryStatistics, open_registry
from actors.runtime.restart import GiveUp, Restart, RestartAfter, RestartPolicy, judge
from actors.runtime.supervisor import (
    Child,
    ChildStatistics,
    Node,
    StopOrder,
    Supervisor,
    SupervisorStatistics,
    open_supervisor,
)

__all__ = [
    "ActorCrashed",
    "ActorError",
    "ActorFailed",
    "Alarms",
    "AlarmsStatistics",
    "AskTimedOut",
    "Behaviour",
    "CannotActivate",
    "Cell",
    "CellStatistics",
    "Child",
    "ChildStatistics",
    "Context",
    "CutOff",
    "DeadLetter",
    "DeadLetters",
    "Envelope",
    "Escalated",
    "Expired",
    "GiveUp",
    "Lane",
    "Load",
    "Mailbox",
    "MailboxFull",
    "MailboxLimits",
    "MailboxStatistics",
    "Node",
    "Promise",
    "Ref",
    "Registry",
    "RegistryClosed",
    "RegistryStatistics",
    "Reply",
    "Residency",
    "Restart",
    "RestartAfter",
    "RestartPolicy",
    "ServerFull",
    "StopOrder",
    "Supervisor",
    "SupervisorStatistics",
    "Terminated",
    "TurnStatistics",
    "guarded",
    "judge",
    "open_registry",
    "open_supervisor",
]
