// What a conversation is to be called at the moment.

import { explain, word } from "./words.js";

/** STARTING, RUNNING, READY (a run-time is open and nothing runs), STOPPED, ERROR or ARCHIVED. */
export function statusOf(conversation) {
  const { status, agent_state: agentState } = conversation.lifecycle;
  if (status === "STOPPED" && conversation.status === "RUNNING") return agentState === "paused" ? "STOPPED" : "READY";
  return status;
}

export function badge(node, conversation) {
  const status = statusOf(conversation);
  node.textContent = word(`status_${status}`);
  node.dataset.status = status;
}

/** Why it is as it is, in words; empty where that is plain. */
export const reasonOf = (conversation) => explain(conversation.lifecycle.reason, conversation.lifecycle.reason);

export const isOpen = (conversation) => conversation.status === "RUNNING" || conversation.status === "STARTING";
