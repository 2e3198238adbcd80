"""The one catalogue of the server's ids for people: what each means, in English and Chinese. Pure data.

What lives here: the texts of every id that goes out (`msg_id`, `error_id`, status ids, codes of refusals, reasons), for
clients that show their users their own language. What must not: which of them is sent when, and sentences without
an id (`phrases`). The page gets both as a module; tests/transport/test_messages.py holds them to what the code sends.
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
    # --- the session and its conversation ------------------------------------------------------------------------
    "SESSION$SOCKET_NOT_INITIALIZED_ERROR_MESSAGE": Text(
        "The server is not ready for connections; try again in a moment.", "服务器尚未就绪，请稍后重试。"
    ),
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
    # --- codes of refusals: the command had no effect, or it is said what is known -------------------------------
    "awaiting_confirmation": Text(
        "An action awaits your decision; confirm or reject it first", "有操作等待你的决定，请先确认或拒绝"
    ),
    "bad_action": Text("The action is not valid", "操作无效"),
    "bad_cursor": Text("The page asked for does not exist", "请求的页不存在"),
    "bad_key": Text("The idempotency key contains a secret; take a random one", "幂等键包含密文，请使用随机值"),
    "busy": Text("The agent is busy; stop it or wait until it has answered", "智能体正忙，请停止它或等待它回答"),
    "crashed": Text("The command failed and had no effect", "命令失败，没有产生任何影响"),
    "event_id_mismatch": Text(
        "Something has happened since that you have not seen; look, then try again", "对话已有新的变化，请查看后重试"
    ),
    "expired": Text("The command waited too long and was not executed", "命令等待过久，未被执行"),
    "illegal_agent_state": Text("The agent cannot be told to be so now", "智能体现在不能进入该状态"),
    "illegal_transition": Text("The conversation does not take that in its status", "对话在当前状态下不接受此操作"),
    "internal_error": Text("Internal error; the server's log explains it", "内部错误，详情见服务器日志"),
    "key_reused": Text("This idempotency key was used before, for another request", "此幂等键已用于另一个请求"),
    "log_closed": Text("The conversation is being opened anew; try again", "对话正在重新打开，请重试"),
    "mailbox_full": Text("This conversation has too much waiting; try again", "此对话等待的命令过多，请重试"),
    "not_found": Text("There is no such conversation", "没有这个对话"),
    "not_running": Text("The conversation is not running; start it first", "对话未在运行，请先启动"),
    "nothing_to_confirm": Text("No action awaits a decision", "没有等待决定的操作"),
    "outcome_unknown": Text("Whether this was done is unknown; look before you try again", "结果未知，重试前请先查看"),
    "run_over": Text("The run is over", "运行已结束"),
    "server_full": Text("The server has too much waiting; try again", "服务器等待的命令过多，请重试"),
    "shutting_down": Text("The server is shutting down", "服务器正在关闭"),
    "storage_degraded": Text("The disk takes no writes at the moment; try again", "磁盘暂时无法写入，请重试"),
    "storage_unreadable": Text("The disk could not be read; try again", "磁盘暂时无法读取，请重试"),
    "too_many_conversations": Text(
        "Too many conversations are busy; stop one or try again later", "忙碌的对话过多，请停止一个或稍后重试"
    ),
    "nothing_to_repair": Text("Nothing is wrong with the log", "日志完好，无需修复"),
    "plan_changed": Text(
        "The repair would no longer do what was planned; look at the plan again", "修复方案已有变化，请重新查看"
    ),
    # --- reasons why a conversation is as it is ------------------------------------------------------------------
    "activation_timeout": Text("The conversation could not be opened in time", "未能及时打开对话"),
    "crash_loop": Text("The conversation failed again and again and was given up", "对话反复失败，已放弃"),
    "interrupted": Text("Interrupted: the server went away meanwhile", "已中断：其间服务器停止了"),
    "log_corrupt": Text(
        "The conversation's log is damaged; an operator must look at it", "对话日志已损坏，需要管理员处理"
    ),
    "storage_failing": Text(
        "The disk failed again and again under this conversation; an operator must look at it",
        "磁盘在此对话上反复失败，需要管理员处理",
    ),
}
