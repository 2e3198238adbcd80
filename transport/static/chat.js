// One conversation, open in the page: its history, its live events, what is said and what is done to it.

import * as api from "./api.js";
import { alarm, ask, byId } from "./dom.js";
import { Renderer } from "./render.js";
import { ConversationSocket, Unconfirmed } from "./socket.js";
import { badge, isOpen, reasonOf, statusOf } from "./status.js";
import { excuse, explain, word } from "./words.js";

const NEAR_PX = 80;
const LOOK_AGAIN_MS = 250;

export class Chat {
  /** `leave(isAbsent)` is called when there is nothing (more) to be shown, `changed()` when the list should look. */
  constructor(conversationId, { leave, changed }) {
    this.id = conversationId;
    this.leave = leave;
    this.changed = changed;
    this.conversation = null;
    this.follows = true;
    this.listeners = new AbortController();
    this.renderer = new Renderer(byId("log"), { decide: (yes) => this.#decide(yes), drawn: () => this.#drawn() });
    this.socket = new ConversationSocket(conversationId, {
      event: (event) => this.#event(event),
      notice: (notice) => this.#notice(notice),
      draft: (part) => this.#draft(part),
      state: (state, detail) => this.#connection(state, detail),
      reset: () => this.renderer.clear(),
      lost: () => this.#look(),
    });
    this.#listen();
    // What is far from view is measured only when it is near, and a reason takes room above: heights change without an
    // event, and who looks at the end goes on looking at it.
    this.resized = new ResizeObserver(() => this.follows && this.#toEnd());
    this.resized.observe(byId("log"));
    this.resized.observe(byId("scroll"));
  }

  /** A stopped conversation is read without waking it; one that is open is joined. */
  async open() {
    byId("title").textContent = "";
    byId("say").classList.remove("off");
    await this.#look();
    if (!this.conversation || this.closed) return;
    if (isOpen(this.conversation)) this.socket.connect();
    else await this.#guard(() => this.#read());
  }

  close() {
    this.closed = true;
    clearTimeout(this.lookTimer);
    this.takeBack?.();
    this.listeners.abort();
    this.resized.disconnect();
    this.socket.close();
  }

  async #read() {
    const { trajectory } = await api.trajectory(this.id);
    if (this.closed) return;
    for (const event of trajectory) {
      if (event.id <= this.socket.latestEventId) continue;
      this.socket.latestEventId = event.id;
      this.#event(event);
    }
    // Ids mean what they meant only within the epoch in which they were read.
    this.socket.streamEpoch = this.conversation.lifecycle.stream_epoch;
    this.#connection("ended");
  }

  // --- what comes ----------------------------------------------------------------------------------------------

  #event(event) {
    this.renderer.add(event);
    if (event.source !== "user") this.#forgetDraft();
    if (event.observation !== "agent_state_changed") return;
    this.#lookSoon();
  }

  /** What the agent is writing (docs/drafts.md): parts follow each other, until an event comes that is not the user's. */
  #draft({ after, text }) {
    const draft = byId("draft");
    draft.textContent = this.draftAfter === after ? draft.textContent + text : text;
    draft.hidden = false;
    this.draftAfter = after;
    this.#drawn();
  }

  #forgetDraft() {
    this.draftAfter = null;
    byId("draft").hidden = true;
  }

  #notice(notice) {
    if (notice.error) {
      // A refusal comes as the answer to an action and again as a notice; it is told once.
      if (notice.message !== this.told) alarm(notice.message);
      this.told = null;
      return;
    }
    if (notice.conversation_title !== undefined) return this.#lookSoon();
    const text = explain(notice.id, notice.message);
    this.#phase(notice.type === "info" && notice.id !== "STATUS$READY" ? text : "");
    this.phaseStays = notice.id === "SESSION$TIMEOUT_MESSAGE"; // why the connection ends, which it does next
    if (notice.type === "error") alarm(notice.id === "STATUS$ERROR" ? word("because", text, explain(null, notice.message)) : text);
    this.#lookSoon();
  }

  #phase(text) {
    byId("phase").textContent = text;
    byId("phase").hidden = !text;
  }

  #connection(state, detail) {
    this.takeBack?.();
    this.takeBack = null;
    this.#forgetDraft();
    byId("connection").dataset.state = state;
    byId("connection").textContent = word({ live: "live", connecting: "connecting" }[state] ?? "offline");
    if (state === "waiting") {
      const action = { text: word("retry"), run: () => this.socket.connect() };
      this.takeBack = alarm(word("waitingFor"), { action, key: "connection" });
    }
    if (state === "refused") this.takeBack = alarm(explain(detail.data?.msg_id, detail.message), { key: "connection" });
    if (state === "live" || state === "refused") this.#lookSoon();
    if (state === "ended") {
      this.#lookSoon();
      if (!this.phaseStays) this.#phase("");
    }
  }

  // --- how it is -----------------------------------------------------------------------------------------------

  #lookSoon() {
    clearTimeout(this.lookTimer);
    if (!this.closed) this.lookTimer = setTimeout(() => this.#look(), LOOK_AGAIN_MS);
  }

  /** False when it is gone, so that nobody tries to join it again. */
  async #look() {
    let found;
    try {
      found = await api.one(this.id);
    } catch (failure) {
      if (!this.closed && !this.conversation) {
        const action = { text: word("retry"), run: () => this.open() };
        this.takeBack = alarm(failure.message, { action, key: "connection" });
      }
      return true;
    }
    if (this.closed) return false;
    if (found === null) {
      if (!this.isDeleting) this.leave(true);
      return false;
    }
    this.conversation = found;
    this.#show();
    this.changed();
    return true;
  }

  #show() {
    const { conversation } = this;
    const status = statusOf(conversation);
    const state = conversation.lifecycle.agent_state;
    byId("title").textContent = conversation.title;
    document.title = `${conversation.title} · Greenroom`;
    badge(byId("status"), conversation);
    byId("agent").textContent = word(`state_${state}`);
    byId("agent").hidden = status === "ARCHIVED";
    const archived = status === "ARCHIVED";
    byId("reason").textContent = archived ? word("archived") : reasonOf(conversation);
    byId("reason").hidden = !byId("reason").textContent;
    byId("reason").dataset.status = status;
    byId("stop").hidden = !isOpen(conversation);
    byId("stop").textContent = word(status === "RUNNING" ? "stop" : "close");
    byId("resume").hidden = archived || status === "RUNNING" || status === "STARTING" || status === "READY";
    byId("archive").hidden = archived;
    byId("unarchive").hidden = !archived;
    byId("say").inert = archived;
    byId("say").classList.toggle("off", archived);
  }

  // --- what is done --------------------------------------------------------------------------------------------

  #listen() {
    const { signal } = this.listeners;
    const on = (id, name, run) => byId(id).addEventListener(name, run, { signal });
    const button = (id, run) => on(id, "click", () => { byId("menu").open = false; this.#guard(run); });
    button("stop", () => this.#stop());
    button("resume", () => this.#wake(() => api.resume(this.id)));
    button("archive", () => api.archive(this.id));
    button("unarchive", () => api.unarchive(this.id));
    button("rename", () => this.#rename());
    button("delete", () => this.#delete());
    on("say", "submit", (event) => { event.preventDefault(); this.#guard(() => this.#say()); });
    on("newest", "click", () => this.#toEnd());
    on("scroll", "scroll", () => {
      const box = byId("scroll");
      this.follows = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
      byId("newest").hidden = this.follows;
    });
  }

  /** Have what went wrong shown, and look how things are now. */
  async #guard(run) {
    try {
      await run();
    } catch (failure) {
      if (this.closed) return;
      if (failure.error) this.told = failure.message;
      const refusal = failure.error && excuse(failure.code, failure.message);
      alarm(refusal || (failure instanceof Unconfirmed ? word("unconfirmed") : failure.message));
    }
    this.#lookSoon();
  }

  async #say() {
    const field = byId("text");
    const text = field.value;
    if (!text.trim()) return;
    field.value = "";
    field.dispatchEvent(new Event("input"));
    this.follows = true;
    try {
      if (this.socket.state === "live") await this.socket.act("message", { content: text });
      else await this.#wake(() => api.say(this.id, text));
    } catch (failure) {
      // A refused message is not lost: it is there to be sent again.
      if (!field.value) field.value = text;
      field.dispatchEvent(new Event("input"));
      throw failure;
    }
  }

  async #wake(run) {
    await run();
    if (this.socket.state !== "live" && !this.closed) this.socket.connect();
  }

  /** A run is ended at once; without one, the run-time is closed. */
  async #stop() {
    if (this.socket.state === "live" && this.conversation.lifecycle.status === "RUNNING") {
      await this.socket.act("change_agent_state", { agent_state: "stopped" });
    } else {
      await api.stop(this.id);
    }
  }

  async #decide(confirmed) {
    const state = confirmed ? "user_confirmed" : "user_rejected";
    await this.#guard(() => this.socket.act("change_agent_state", { agent_state: state }));
  }

  async #rename() {
    const title = await ask({ title: word("renameTitle"), ok: word("save"), input: this.conversation.title });
    if (title !== null) await api.rename(this.id, title);
  }

  async #delete() {
    const sure = await ask({ title: word("deleteTitle"), text: word("deleteText"), ok: word("delete"), danger: true });
    if (sure === null) return;
    this.isDeleting = true;
    await api.remove(this.id).finally(() => { this.isDeleting = false; });
    this.leave(false);
  }

  // --- where one looks -----------------------------------------------------------------------------------------

  #drawn() {
    if (this.follows) this.#toEnd();
    else byId("newest").hidden = false;
  }

  #toEnd() {
    byId("scroll").scrollTop = byId("scroll").scrollHeight;
  }
}
