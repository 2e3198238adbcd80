"""What a person is told of a conversation's explanation. Pure.

What lives here: the table from facts, as they come by the wire, to sentences. What must not: which facts hold
(`actors.conversation.explanation`), or how they are asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from transport.cli.words import count, plain, span

__all__ = ["CODES", "lines", "sentence"]

Fact = Mapping[str, Any]

_HEADINGS = {
    "because": "Why it is so",
    "held_by": "Who holds it",
    "waits_for": "What it waits for",
    "next": "What comes next",
    "can_do": "What you can do",
}

_FAILURES = {
    "log_corrupt": "Its log is damaged in the middle; what stands before the damage can be read.",
    "crash_loop": "Its actor crashed again and again, and is not started any more.",
    "activation_timeout": "It could not be brought to life in time.",
    "storage_failing": "The disk failed again and again to keep its events.",
    "not_found": "Its folder is gone.",
}

_AGENTS = {
    "loading": "Its run-time is being opened.",
    "running": "Its agent is at work.",
    "awaiting_user_input": "Its agent rests: it has done what it was asked.",
    "awaiting_user_confirmation": "Its agent wants to do something that the user is to decide.",
    "paused": "Its agent was paused.",
    "stopped": "Its agent is stopped.",
    "finished": "Its agent says that the task is done.",
    "error": "Its agent failed.",
    "user_rejected": "The user rejected what its agent wanted to do.",
}

_RESIDENCIES = {
    "hot": "It is in memory{when}.",
    "activating": "It is being brought to life{when}.",
    "passivating": "It is leaving memory{when}.",
    "hibernated": "It has left memory for lack of use; its run-time and its clients stay.",
    "cold": "It is not in memory.",
}

_ENDS = {"pause": "somebody pauses it", "stop": "somebody stops it", "next": "a message came that is answered now"}

_PLAIN = {
    "archived": "It was put away: it can be read, and takes nothing.",
    "command": "A command in its sandbox{when}.",
    "kept_alive": "A keep-alive, which ends{when}.",
    "nobody": "Nobody: it has no actor, no run-time and no client.",
    "place_to_wake": "Its turn to wake{when}: many are being brought to life.",
    "log": "Its log, which is being read{when}.",
    "snapshot": "Its snapshot, which is being written{when}.",
    "sandbox_opening": "Its sandbox, which is being opened{when}.",
    "sandbox_closing": "Its sandbox, whose processes are being ended{when}.",
    "report": "Its run-time's report, which is being taken{when}.",
    "command_end": "The command that its agent runs{when}.",
    "agent_work": "Its agent, which works{when}.",
    "room": "A place for its run-time: all are taken by conversations that are busy.",
    "message": "A message, a command or a client.",
    "operator": "You.",
    "restart": "Its actor is started again{when}.",
    "waking_given_up": "Bringing it to life is given up{when}; then it has failed.",
    "leaving_given_up": "Its snapshot is given up{when}, and it leaves memory without one.",
    "disk_tried": "The disk is tried again{when}.",
    "start_given_up": "Opening its run-time is given up{when}; then it is in error.",
    "command_timeout": "The command is ended{when} for taking too long.",
    "hibernate": "It leaves memory{when} if nothing happens before; its run-time and its clients stay.",
    "close": "Its run-time is closed{when} if nothing happens before.",
    "never_closed": "It is never closed for lack of use: SANDBOX_CLOSE_DELAY is 0.",
    "revived": "The next message, start or client brings it back.",
    "nothing": "Nothing happens by itself.",
    "repair": "`greenroom repair {id} --url {url}` shows what would be lost, and asks.",
    "look_at_disk": "Look at the disk: how much room it has, and what the kernel says of it.",
    "start_again": "`POST /api/conversations/{id}/start` tries again.",
    "unarchive": "`POST /api/conversations/{id}/unarchive` takes it out again.",
    "decide": "`greenroom chat --url {url} --conversation {id}`, and there yes or no.",
    "stop": "`POST /api/conversations/{id}/pause` ends the run, `…/stop` the run-time with it.",
    "make_room": "Stop another conversation, or raise MAX_CONCURRENT_CONVERSATIONS.",
}


def _failed(fact: Fact) -> str:
    found = [_FAILURES.get(fact["reason"], f"It cannot be brought to life ({plain(fact['reason'])}).")]
    if fact["last_failure"]:
        found.append(f"The last failure: {plain(fact['last_failure'])}.")
    if "at" in fact:
        found.append("It has been so{when}.")
    return " ".join(found)


def _crashed(fact: Fact) -> str:
    return f"Its actor crashed ({plain(fact['last_failure'])}) and is gone{{when}}. Crashes of late: {fact['crashes']}."


def _agent(fact: Fact) -> str:
    said = _AGENTS.get(fact["state"], f"Its agent is {plain(fact['state'])}.")
    return f"{said[:-1]}: {plain(fact['reason'])}." if fact["reason"] else said


def _actor(fact: Fact) -> str:
    again = f", restarted {count(fact['restarts'], 'time')}" if fact["restarts"] else ""
    return f"Its actor, incarnation {fact['incarnation']}{{when}}{again}."


def _run_time(fact: Fact) -> str:
    at = f"{fact['phase']}, {fact['activity']}" if fact["phase"] != fact["activity"] else fact["phase"]
    return f"Its run-time: {at}{{when}}."


def _clients(fact: Fact) -> str:
    behind = f", {fact['behind']} of them reading behind the others" if fact["behind"] else ""
    return f"{count(fact['clients'], 'client')}{behind}."


def _disk(fact: Fact) -> str:
    commands = ", ".join(f"{number} {name}" for name, number in fact["commands"].items())
    return f"The disk, for a turn ({commands}){{when}}."


def _disk_refuses(fact: Fact) -> str:
    return f"The disk, which takes {'no writes' if fact['everybody'] else 'none of its events'}{{when}}."


def _mailbox(fact: Fact) -> str:
    found = [f"{fact[lane]} {lane}" for lane in ("control", "work") if fact[lane]]
    if fact["suspects"]:
        found.append(f"{fact['suspects']} of a turn that crashed, one by one")
    return f"Its mailbox: {', '.join(found)}; the oldest{{when}}." if "at" in fact else f"Its mailbox: {found[0]}."


def _confirmation(fact: Fact) -> str:
    why = f": {plain(fact['reason'])}" if fact["reason"] else ""
    return f"The user's word on action {fact['action_id']}{why}."


def _unanswered(fact: Fact) -> str:
    return f"A message or a start: {count(fact['messages'], 'message')} nobody has answered will be answered with it."


_SAID: dict[str, Callable[[Fact], str]] = {
    "failed": _failed,
    "crashed": _crashed,
    "agent": _agent,
    "residency": lambda fact: _RESIDENCIES.get(fact["residency"], f"It is {fact['residency']}."),
    "actor": _actor,
    "run_time": _run_time,
    "run": lambda fact: f"Run {fact['run']}{{when}}.",
    "clients": _clients,
    "disk": _disk,
    "disk_refuses": _disk_refuses,
    "mailbox": _mailbox,
    "run_end": lambda fact: f"The end of its run: {_ENDS.get(fact['why'], fact['why'])}.",
    "queued": lambda fact: f"What is under way, before {count(fact['messages'], 'message')} can be answered.",
    "confirmation": _confirmation,
    "unanswered": _unanswered,
    "close_held_off": lambda fact: f"It is not closed while anybody is connected ({count(fact['clients'], 'client')}).",
}

CODES = frozenset({*_PLAIN, *_SAID})
"""Of which there is a sentence."""


def lines(conversation: Mapping[str, Any], explanation: Mapping[str, Any], url: str) -> Iterator[str]:
    """The explanation of a conversation, as `/api/admin/actors/ID` has both."""
    lifecycle, conversation_id = conversation["lifecycle"], conversation["conversation_id"]
    yield f"{conversation_id} “{plain(conversation['title'])}”"
    yield f"is {lifecycle['status']}, {lifecycle['residency']}, its agent {lifecycle['agent_state']}."
    for name, heading in _HEADINGS.items():
        facts = explanation.get(name, [])
        if facts:
            yield ""
            yield f"{heading}:"
            yield from (f"  {sentence(fact, conversation_id, url)}" for fact in facts)


def sentence(fact: Fact, conversation_id: str, url: str) -> str:
    """One fact; one that a newer server knows is shown by its code."""
    code = fact["code"]
    said = _SAID[code](fact) if code in _SAID else _PLAIN.get(code, f"({plain(code)}{{when}})")
    filled = {"{when}": _when(fact), "{id}": conversation_id, "{url}": url}
    for place, text in filled.items():
        said = said.replace(place, text)
    return said


def _when(fact: Fact) -> str:
    """` since 11:26:40Z (5 min 12 s)`, ` at 11:31:40Z (in 4 min)`; empty for what has no time."""
    if "at" not in fact:
        return ""
    if "in_seconds" in fact:
        return f" at {_clock(fact['at'], fact['in_seconds'])} (in {span(fact['in_seconds'])})"
    return f" since {_clock(fact['at'], fact['seconds_ago'])} ({span(fact['seconds_ago'])})"


def _clock(at: str, seconds: float) -> str:
    """Without the date where it is plain which day is meant."""
    day, _, time = at.partition("T")
    time = f"{time[:8]}Z"
    return time if seconds < 12 * 3600 else f"{day} {time}"
