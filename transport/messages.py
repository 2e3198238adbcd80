"""The one catalogue of the server's ids for people: what each means, in English and Chinese. Pure data.

What lives here: the texts of every `msg_id`, `error_id` and status id that goes out, for clients that show their users
their own language. What must not: which of them is sent when. The page gets the catalogue as a module.
"""

from collections.abc import Mapping

import attrs

__all__ = ["MESSAGES", "Text"]


@attrs.frozen
class Text:
    """One meaning in both languages; the fields are named as browsers name them."""

    en: str
    zh: str


MESSAGES: Mapping[str, Text] = {
    # --- statuses of the run-time (contract §3.6) ----------------------------------------------------------------
    "STATUS$STARTING_RUNTIME": Text("Starting the run-time …", "正在启动运行环境……"),
    "STATUS$READY": Text("Ready", "就绪"),
    "STATUS$ERROR": Text("The run-time could not be started", "无法启动运行环境"),
    # --- the session ---------------------------------------------------------------------------------------------
    "SESSION$TIMEOUT_MESSAGE": Text(
        "Closed after a while without activity. A message opens it again.",
        "长时间没有活动，对话已关闭。发送消息即可重新打开。",
    ),
    "CONVERSATION$NOT_FOUND": Text("There is no such conversation", "没有这个对话"),
    # --- errors of actions (contract §3.3) -----------------------------------------------------------------------
    "AGENT_ERROR$TOO_MANY_CONVERSATIONS": Text("Too many conversations are open at once", "同时打开的对话过多"),
    "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED": Text(
        "Not carried out: the agent was stopped", "未执行：智能体已被停止"
    ),
    "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR": Text(
        "Not carried out to its end: an error came in between", "未执行完毕：中途发生错误"
    ),
}
