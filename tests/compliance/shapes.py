"""What answers and events of the wire look like: a small language, and the shapes of V0's own in it.

A dict is an object with these keys in this order, a list of one shape any number of such values, a tuple one shape or
the other, a type any value of it, anything else itself, an empty list among it. Written from the contract (§1, §2, §3);
what the real server answers is held against it in `test_rest` and `test_socket`.
"""

from typing import Any

__all__ = [
    "ACTION", "CONVERSATION", "HISTORY", "NOTICE", "OBSERVATION", "PROBLEMS", "SETTINGS", "difference", "event_shape",
]  # fmt: skip

TEXT = (str, None)

CONVERSATION = {
    "conversation_id": str, "title": str, "last_updated_at": TEXT, "status": str, "runtime_status": TEXT,
    "selected_repository": TEXT, "selected_branch": TEXT, "git_provider": TEXT, "trigger": TEXT,
    "num_connections": int, "url": TEXT, "session_api_key": None, "created_at": str, "pr_number": [int],
    "conversation_version": "V0", "lifecycle": dict,
}  # fmt: skip
"""`lifecycle` is ours, behind all of V0's keys, and may grow."""

SETTINGS: dict[str, Any] = {
    "language": TEXT, "agent": TEXT, "max_iterations": (int, None), "security_analyzer": TEXT,
    "confirmation_mode": (bool, None), "llm_model": TEXT, "llm_api_key": None, "llm_base_url": TEXT,
    "remote_runtime_resource_factor": (int, None), "secrets_store": {"provider_tokens": {}},
    "enable_default_condenser": bool, "enable_sound_notifications": bool,
    "enable_proactive_conversation_starters": bool, "enable_solvability_analysis": bool,
    "user_consents_to_analytics": (bool, None), "sandbox_base_container_image": TEXT,
    "sandbox_runtime_container_image": TEXT, "mcp_config": None, "search_api_key": None, "sandbox_api_key": None,
    "max_budget_per_task": (float, None), "condenser_max_size": (int, None), "email": TEXT,
    "email_verified": (bool, None), "git_user_name": TEXT, "git_user_email": TEXT,
    "provider_tokens_set": {"github": TEXT}, "llm_api_key_set": bool, "search_api_key_set": bool,
}  # fmt: skip

PROBLEMS = {"detail": [({"type": str, "loc": [(str, int)], "msg": str, "input": object},
                        {"type": str, "loc": [(str, int)], "msg": str, "input": object, "ctx": dict})]}  # fmt: skip

MESSAGE_ARGS = {
    "content": str, "file_urls": ([str], None), "image_urls": ([str], None), "wait_for_response": bool,
    "security_risk": int,
}  # fmt: skip

RUN_ARGS = {
    "command": str, "is_input": bool, "thought": str, "blocking": bool, "is_static": bool, "cwd": TEXT, "hidden": bool,
    "confirmation_state": str, "security_risk": int,
}  # fmt: skip

RUN_METADATA = {
    "exit_code": int, "pid": int, "username": TEXT, "hostname": TEXT, "working_dir": TEXT,
    "py_interpreter_path": TEXT, "prefix": str, "suffix": str,
}  # fmt: skip

ACTION = {
    "message": MESSAGE_ARGS,
    "run": RUN_ARGS,
    "think": {"thought": str},
    "finish": {"final_thought": str, "outputs": dict, "thought": str},
    "change_agent_state": {"agent_state": str, "thought": str},
}
"""`args` by action."""

OBSERVATION = {
    "agent_state_changed": {"agent_state": str, "reason": str},
    "run": {"command": str, "metadata": RUN_METADATA, "hidden": bool},
    "think": {},
    "error": {"error_id": str},
    "user_rejected": {},
}
"""`extras` by observation."""

NOTICE = (
    {"status_update": True, "type": "info", "id": str, "message": str},
    {"status_update": True, "type": "error", "id": str, "message": str},
    {"status_update": True, "type": "info", "message": str, "conversation_title": str},
    {"error": True, "message": str},
)
"""What comes on the channel of events and is none."""


def event_shape(event: dict[str, Any]) -> dict[str, Any]:
    """The one shape that an event of this kind may have."""
    shape: dict[str, Any] = {"id": int, "timestamp": str, "source": ("agent", "user", "environment"), "message": str}
    if "cause" in event:
        shape["cause"] = int
    if "action" in event:
        return shape | {"action": event["action"], "args": ACTION[event["action"]]}
    shape |= {"observation": event["observation"], "content": str, "extras": OBSERVATION[event["observation"]]}
    return shape | ({"success": bool} if event["observation"] == "run" else {})


HISTORY = {"events": list, "has_more": bool}


def difference(shape: Any, value: Any, place: str = "it") -> str:
    """Where and how a value has another shape first; empty where it has not."""
    match shape:
        case tuple():
            found = [difference(one, value, place) for one in shape]
            return "" if "" in found else " and ".join(found)
        case dict():
            return _keys(shape, value, place)
        case [each]:
            if not isinstance(value, list):
                return f"{place} is {value!r}, not a list"
            return next(filter(None, (difference(each, one, f"{place}[{n}]") for n, one in enumerate(value))), "")
        case type():
            # True is an int to Python, and not to JSON.
            is_it = isinstance(value, shape) and (shape is object or isinstance(value, bool) == (shape is bool))
            return "" if is_it or (shape is float and type(value) is int) else f"{place} is {value!r}, not {shape}"
        case _:
            return "" if type(value) is type(shape) and value == shape else f"{place} is {value!r}, not {shape!r}"


def _keys(shape: dict[str, Any], value: Any, place: str) -> str:
    if not isinstance(value, dict):
        return f"{place} is {value!r}, not an object"
    if list(value) != list(shape):
        return f"{place} has the keys {list(value)}, not {list(shape)}"
    return next(filter(None, (difference(shape[name], value[name], f"{place}.{name}") for name in shape)), "")
