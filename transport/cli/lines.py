"""What a person is shown of an event. Pure.

What lives here: the table from an event, as it comes by the wire, to a line of text. What must not: the terminal or
the connection, so that the table can be read and tested alone.
"""

from typing import Any

__all__ = ["line"]

_COMMANDS = {"awaiting_confirmation": "$ {}\n[run it? yes or no]", "rejected": "[not run: {}]"}


def line(event: Any) -> str | None:  # noqa: PLR0911 - one flat table
    """The text, perhaps of several lines; None for what is not worth a person's while."""
    match event:
        case {"error": True, "message": message}:
            return f"[refused: {message}]"
        case {"status_update": True, "id": str(), "message": str(message)} if message:
            return f"[{message}]"
        case {"source": source, "action": "message", "args": {"content": content}}:
            return f"{source}: {content}"
        case {"action": "run", "args": {"command": command} as args}:
            return _COMMANDS.get(str(args.get("confirmation_state")), "$ {}").format(command)
        case {"observation": "run", "content": content, "extras": {"metadata": {"exit_code": code}}}:
            return f"{content}".rstrip() + f"\n[exit code {code}]"
        case {"observation": "error", "content": content}:
            return f"[error: {content}]"
        case {"observation": "agent_state_changed", "extras": {"agent_state": state} as extras}:
            reason = extras.get("reason")
            return f"[agent: {state}: {reason}]" if reason else f"[agent: {state}]"
        case {"action": "finish" | "think", "message": message}:
            return f"agent: {message}"
    return None
