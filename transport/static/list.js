// The list of conversations: newest first, looked at again every few seconds while somebody looks at it.

import * as api from "./api.js";
import { alarm, byId, el } from "./dom.js";
import { at } from "./root.js";
import { badge, reasonOf } from "./status.js";
import { ago } from "./words.js";

const PAGE = 20;
const LARGEST_PAGE = 100;
const REFRESH_MS = 4000;

let wanted = PAGE;
let chosen = null;
let shown = [];
let timer = null;
let takeBack = null;
let asked = 0;

export function choose(conversationId) {
  chosen = conversationId;
  show(shown);
}

/** Look now, and from then on in turns. */
export async function refresh() {
  clearTimeout(timer);
  const question = (asked += 1);
  try {
    const found = await load();
    if (question !== asked) return; // a later one is on its way
    takeBack?.();
    takeBack = null;
    show(found.results, found.more);
  } catch (failure) {
    if (question !== asked) return;
    // An open conversation tells by itself that the server is away.
    if (!chosen || !(failure instanceof api.Unreachable)) takeBack = alarm(failure.message, { key: "list" });
  }
  timer = setTimeout(() => (document.visibilityState === "visible" ? refresh() : null), REFRESH_MS);
}

async function load() {
  let results = [];
  let cursor = null;
  do {
    const page = await api.page(Math.min(wanted - results.length, LARGEST_PAGE), cursor);
    results = results.concat(page.results);
    cursor = page.next_page_id;
  } while (cursor && results.length < wanted);
  return { results, more: Boolean(cursor) };
}

function show(results, more = !byId("more").hidden) {
  shown = results;
  const list = byId("list");
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  // Items stay the same elements, so that the focus stays where it is.
  const items = results.map((conversation) => fill(known.get(conversation.conversation_id) ?? make(conversation), conversation));
  items.forEach((item, place) => list.children[place] !== item && list.insertBefore(item, list.children[place] ?? null));
  while (list.children.length > items.length) list.lastElementChild.remove();
  byId("list-empty").hidden = items.length > 0;
  byId("more").hidden = !more;
}

function make({ conversation_id: id }) {
  const link = el("a", { href: at(`/conversations/${id}`), "data-link": true },
    el("span", { class: "item-title" }), el("span", { class: "badge" }),
    el("span", { class: "item-reason faint" }), el("time", { class: "faint" }));
  return el("li", { data: { id } }, link);
}

function fill(item, conversation) {
  const [title, status, reason, time] = item.firstElementChild.children;
  title.textContent = conversation.title;
  badge(status, conversation);
  reason.textContent = reasonOf(conversation);
  time.textContent = ago(conversation.last_updated_at ?? conversation.created_at);
  if (conversation.conversation_id === chosen) item.firstElementChild.setAttribute("aria-current", "page");
  else item.firstElementChild.removeAttribute("aria-current");
  return item;
}

byId("more").addEventListener("click", () => {
  wanted += PAGE;
  refresh();
});
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
