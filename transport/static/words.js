// The texts of the page in English and Chinese, chosen by the browser's languages. The texts of the server's error
// ids, and of its sentences without one, come from its own catalogue.

import { messages, phrases } from "./messages.js";

export const WORDS = {
  en: {
    skip: "Skip to the conversation", new: "New", conversations: "Conversations", more: "Show more",
    noConversations: "No conversations yet.", homeTitle: "What shall be done?", firstMessage: "First message",
    firstHint: "Write to the agent …", start: "Start", absentTitle: "There is no such conversation.",
    homeHint: "Each conversation has an agent, a workspace of its own and a history that survives restarts. Without a model, understudy answers: it does exactly what a message says.",
    absentHint: "It may have been deleted.", back: "All conversations", resume: "Resume", stop: "Stop", close: "Close",
    actions: "Actions", rename: "Rename", archive: "Archive", unarchive: "Take out of the archive", delete: "Delete",
    history: "History", newest: "↓ Newest", message: "Message", messageHint: "Write to the agent …",
    send: "Send", logout: "Log out", title: "Title", cancel: "Cancel", renameTitle: "Rename the conversation", save: "Save",
    deleteTitle: "Delete this conversation?",
    deleteText: "Its history and its files go with it. This cannot be undone.",
    retry: "Try now", unreachable: "The server cannot be reached.", waitingFor: "The server cannot be reached. Trying again …",
    connecting: "Connecting …", live: "Live", offline: "Not connected",
    unconfirmed: "The connection was lost before the server confirmed. If your message is not in the history, send it again.",
    archived: "This conversation is archived. Take it out of the archive to go on.",
    failed: "This page has failed", because: "{0}: {1}", running: "running", notRun: "not run",
    exit: "exit {0}", ended: "ended", thought: "Thought", finished: "Finished", error: "Error", you: "You", agent: "Agent",
    unknown: "Event", image: "Image", waits: "Waits for your decision", confirm: "Run it", reject: "Do not run it",
    rejected: "rejected", risk: "Risk: {0}", risk0: "low", risk1: "medium", risk2: "high",
    status_STARTING: "Starting", status_RUNNING: "Running", status_READY: "Ready", status_STOPPED: "Stopped",
    status_ERROR: "Error", status_ARCHIVED: "Archived",
    state_loading: "getting ready", state_running: "at work", state_awaiting_user_input: "waits for you",
    state_paused: "paused", state_stopped: "stopped", state_finished: "finished", state_rejected: "rejected",
    state_error: "in error", state_awaiting_user_confirmation: "waits for your decision",
    state_user_confirmed: "confirmed", state_user_rejected: "rejected", state_rate_limited: "waits for the model",
    saw_paused: "Paused", saw_stopped: "Stopped", saw_finished: "Finished", saw_error: "Stopped by an error",
    saw_rejected: "Rejected", saw_rate_limited: "Waiting for the model",
  },
  zh: {
    skip: "跳到对话", new: "新建", conversations: "对话", more: "显示更多",
    noConversations: "还没有对话。", homeTitle: "要做什么？", firstMessage: "第一条消息",
    firstHint: "写给智能体……", start: "开始", absentTitle: "没有这个对话。",
    homeHint: "每个对话都有自己的智能体和工作区，历史记录在重启后依然保留。未配置模型时由 understudy 回答：消息怎么写，它就怎么做。",
    absentHint: "它可能已被删除。", back: "全部对话", resume: "继续", stop: "停止", close: "关闭",
    actions: "操作", rename: "重命名", archive: "归档", unarchive: "取消归档", delete: "删除",
    history: "历史", newest: "↓ 最新", message: "消息", messageHint: "写给智能体……",
    send: "发送", logout: "退出登录", title: "标题", cancel: "取消", renameTitle: "重命名对话", save: "保存",
    deleteTitle: "删除这个对话？",
    deleteText: "历史记录和文件会一并删除，无法恢复。",
    retry: "立即重试", unreachable: "无法连接服务器。", waitingFor: "无法连接服务器，正在重试……",
    connecting: "正在连接……", live: "已连接", offline: "未连接",
    unconfirmed: "服务器确认之前连接中断。如果历史中没有这条消息，请重新发送。",
    archived: "此对话已归档。取消归档后才能继续。",
    failed: "页面出错", because: "{0}：{1}", running: "运行中", notRun: "未执行",
    exit: "退出码 {0}", ended: "已结束", thought: "思考", finished: "完成", error: "错误", you: "你", agent: "智能体",
    unknown: "事件", image: "图片", waits: "等待你的决定", confirm: "执行", reject: "不执行",
    rejected: "已拒绝", risk: "风险：{0}", risk0: "低", risk1: "中", risk2: "高",
    status_STARTING: "启动中", status_RUNNING: "运行中", status_READY: "就绪", status_STOPPED: "已停止",
    status_ERROR: "错误", status_ARCHIVED: "已归档",
    state_loading: "准备中", state_running: "工作中", state_awaiting_user_input: "等待你的输入",
    state_paused: "已暂停", state_stopped: "已停止", state_finished: "已完成", state_rejected: "已拒绝",
    state_error: "出错", state_awaiting_user_confirmation: "等待你的决定",
    state_user_confirmed: "已确认", state_user_rejected: "已拒绝", state_rate_limited: "等待模型",
    saw_paused: "已暂停", saw_stopped: "已停止", saw_finished: "已完成", saw_error: "因错误停止",
    saw_rejected: "已拒绝", saw_rate_limited: "等待模型",
  },
};

const wanted = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in WORDS);
export const language = wanted ?? "en";

/** One text; `{0}` and so on stand for the values. Without a text the name itself. */
export function word(name, ...values) {
  const text = WORDS[language][name] ?? name;
  return text.replace(/\{(\d)\}/g, (_, place) => values[place]);
}

export const hasWord = (name) => name in WORDS[language];

/** What an id of the server's means, or what it said itself. */
export const explain = (id, otherwise = "") => messages[id]?.[language] ?? said(otherwise || id || "");

const readings = phrases.map(([english, texts]) => [reading(english), texts[language]]).filter(([, text]) => text);

/** What recognises an English sentence, whatever stands in its places. */
function reading(english) {
  const parts = english.split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("(.+?)")}$`, "s");
}

/** A sentence of the server's in the language that is read; without a text as it is. What stands in its places may be a
    sentence itself. */
function said(text) {
  for (const [pattern, other] of readings) {
    const found = pattern.exec(text);
    if (!found) continue;
    const filled = other.replace(/\{(\d)\}/g, (_, place) => said(found[Number(place) + 1]));
    return filled.replace(/(?<=\p{Script=Han}) (?=\p{Script=Han})/gu, "");
  }
  return text;
}

/** A refusal with a code: the server's own sentence says more, where it is in the language that is read. */
export const excuse = (code, message) => (language === "en" && message ? message : explain(code, message));

/** Put the texts into the document as it was delivered. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of root.querySelectorAll("[data-word-placeholder]")) node.placeholder = word(node.dataset.wordPlaceholder);
  for (const node of root.querySelectorAll("[data-word-label]")) node.setAttribute("aria-label", word(node.dataset.wordLabel));
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]];

/** How long ago a time of the server's was. */
export function ago(timestamp) {
  const seconds = (Date.parse(timestamp) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return "";
  for (const [unit, length] of UNITS) if (-seconds >= length) return relative.format(Math.ceil(seconds / length), unit);
  return relative.format(0, "second");
}

export const clock = (timestamp) => new Date(timestamp).toLocaleString(language);
