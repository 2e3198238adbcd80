// The REST side of the server, one function a route. Every failure is one of two errors: the server said no, or it
// could not be reached.

import { at } from "./root.js";
import { excuse, explain, word } from "./words.js";

/** The server answered with a refusal; `message` is for people, in their language where it has an id. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** No answer came. */
export class Unreachable extends Error {
  constructor() {
    super(word("unreachable"));
  }
}

const TRIES = 4;
const LONGEST_WAIT_SECONDS = 10;
const LONGEST_ANSWER_MS = 30_000;

async function call(method, path, body) {
  for (let tries = 1; ; tries += 1) {
    const response = await send(method, path, body);
    if (response.ok) return response.json().catch(() => { throw new Unreachable(); });
    if (response.status === 401) return toLogin();
    const wait = Number(response.headers.get("retry-after"));
    // Only what is refused before it was looked at is asked again by itself.
    if (response.status !== 429 || tries === TRIES || !(wait <= LONGEST_WAIT_SECONDS)) throw await refusal(response);
    await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 0.2) * 1000));
  }
}

async function send(method, path, body) {
  const signal = AbortSignal.timeout(LONGEST_ANSWER_MS);
  const json = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  try {
    return await fetch(at(path), { method, signal, ...json });
  } catch {
    throw new Unreachable();
  }
}

/** The page goes away, so nothing that waits for an answer goes on. */
function toLogin() {
  location.assign(`${at("/login")}?next=${encodeURIComponent(location.pathname).replaceAll("%2F", "/")}`); // as the server writes it
  return new Promise(() => {});
}

async function refusal(response) {
  const told = await response.json().catch(() => ({}));
  const detail = Array.isArray(told.detail) ? told.detail.map((problem) => problem.msg).join("; ") : told.detail;
  const text = told.message ?? told.error ?? detail ?? `${response.status} ${response.statusText}`;
  const id = told.error_id ? ` (${told.error_id})` : "";
  const said = told.code ? excuse(told.code, text) : explain(told.msg_id, text);
  return new Refused(response.status, `${said}${id}`);
}

/** The cookie cannot be seen from here, but a server without a key has no login to show. */
export async function hasKey() {
  const answer = await fetch(at("/login"), { method: "HEAD", redirect: "manual" }).catch(() => null);
  return answer?.ok ?? false;
}

export async function logOut() {
  await call("POST", "/api/logout");
  location.assign(at("/login"));
}

const of = (id) => `/api/conversations/${encodeURIComponent(id)}`;

export const create = (text) => call("POST", "/api/conversations", text ? { initial_user_msg: text } : {});
export const one = (id) => call("GET", of(id));
export const rename = (id, title) => call("PATCH", of(id), { title });
export const remove = (id) => call("DELETE", of(id));
export const stop = (id) => call("POST", `${of(id)}/stop`);
export const resume = (id) => call("POST", `${of(id)}/resume`);
export const start = (id) => call("POST", `${of(id)}/start`, {});
export const archive = (id) => call("POST", `${of(id)}/archive`);
export const unarchive = (id) => call("POST", `${of(id)}/unarchive`);
export const say = (id, text) => call("POST", `${of(id)}/message`, { message: text });
export const trajectory = (id) => call("GET", `${of(id)}/trajectory`);

export function page(limit, cursor) {
  const query = new URLSearchParams({ limit });
  if (cursor) query.set("page_id", cursor);
  return call("GET", `/api/conversations?${query}`);
}
