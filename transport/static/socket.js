// A Socket.IO 5 client over Engine.IO 4, as much of it as one conversation needs: WebSocket only, namespace `/`, text
// packets. It comes back by itself with the id of the last event, and hands every event on once and in order.

import { at } from "./root.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const CONNECT_MS = 15_000;
const ACK_MS = 15_000;
const NOT_READY = "SESSION$SOCKET_NOT_INITIALIZED_ERROR_MESSAGE";

/** What was sent may or may not have arrived. */
export class Unconfirmed extends Error {}

/**
 * `handlers`: `event(event)` with an id, once each; `notice(payload)` without; `draft(part)` of what is being written; `state(name, detail)` for "connecting",
 * "live", "waiting" (detail: ms until the next try), "ended" (the server closed the conversation) and "refused"
 * (detail: the server's reason); `reset()` when everything comes again from the start; `lost()` may say, when a
 * connection fails, that there is no use in another try, by resolving to false.
 */
export class ConversationSocket {
  constructor(conversationId, handlers, latestEventId = -1) {
    this.conversationId = conversationId;
    this.handlers = handlers;
    this.latestEventId = latestEventId;
    this.streamEpoch = null;
    this.state = "closed";
    this.failures = 0;
    this.acks = new Map();
    this.nextAck = 0;
    this.retryNow = () => this.state === "waiting" && document.visibilityState === "visible" && this.connect();
    addEventListener("online", this.retryNow);
    document.addEventListener("visibilitychange", this.retryNow);
  }

  connect() {
    this.#drop();
    this.#tell("connecting");
    const query = new URLSearchParams({ EIO: 4, transport: "websocket", conversation_id: this.conversationId, drafts: 1 });
    query.set("latest_event_id", this.latestEventId);
    if (this.streamEpoch !== null) query.set("stream_epoch", this.streamEpoch);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${at("/socket.io/")}?${query}`);
    this.socket = socket;
    this.#expect(CONNECT_MS);
    socket.addEventListener("message", ({ data }) => this.socket === socket && this.#received(String(data)));
    socket.addEventListener("close", () => this.socket === socket && this.#retry());
  }

  /** Resolves when the server has it; rejects with the server's refusal or with `Unconfirmed`. */
  act(action, args) {
    if (this.state !== "live") return Promise.reject(new Unconfirmed());
    const id = this.nextAck++;
    this.socket.send(`42${id}${JSON.stringify(["oh_user_action", { action, args }])}`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, new Unconfirmed()), ACK_MS);
      this.acks.set(id, { resolve, reject, timer });
    });
  }

  /** For good. */
  close() {
    removeEventListener("online", this.retryNow);
    document.removeEventListener("visibilitychange", this.retryNow);
    this.#drop();
    this.state = "closed";
  }

  #tell(state, detail) {
    this.state = state;
    this.handlers.state(state, detail);
  }

  #expect(ms) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.#retry(), ms);
  }

  #drop() {
    clearTimeout(this.watchdog);
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    for (const id of [...this.acks.keys()]) this.#settle(id, new Unconfirmed());
  }

  async #retry() {
    this.#drop();
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
    this.failures += 1;
    this.#tell("waiting", wait);
    const usable = await this.handlers.lost();
    if (this.state !== "waiting") return;
    if (usable === false) this.close();
    else this.timer = setTimeout(() => this.connect(), wait);
  }

  #received(packet) {
    if (this.patience) this.#expect(this.patience);
    switch (packet[0]) {
      case "0": {
        const { pingInterval, pingTimeout } = JSON.parse(packet.slice(1));
        this.patience = pingInterval + pingTimeout;
        this.#expect(this.patience);
        return this.socket.send("40");
      }
      case "1":
        return this.#retry();
      case "2":
        return this.socket.send(`3${packet.slice(1)}`);
      case "4":
        return this.#message(packet.slice(1));
    }
  }

  #message(packet) {
    const [, type, ack, body] = packet.match(/^(\d)(\d*)(.*)$/s);
    switch (type) {
      case "0":
        return this.#joined(JSON.parse(body));
      case "1":
        this.#drop();
        return this.#tell("ended");
      case "2":
        return this.#event(...JSON.parse(body));
      case "3":
        return this.#settle(Number(ack), JSON.parse(body)[0]);
      case "4":
        return this.#refused(JSON.parse(body));
    }
  }

  #joined({ recovered, stream_epoch: epoch }) {
    this.failures = 0;
    if (recovered === false) {
      this.latestEventId = -1;
      this.handlers.reset();
    }
    this.streamEpoch = epoch ?? null;
    this.#tell("live");
  }

  #refused(reason) {
    if (reason.data?.msg_id === NOT_READY) return this.#retry();
    this.#drop();
    this.#tell("refused", reason);
  }

  #event(name, payload) {
    if (name === "greenroom_draft") return this.handlers.draft(payload);
    if (name !== "oh_event") return;
    if (typeof payload.id !== "number") return this.handlers.notice(payload);
    if (payload.id <= this.latestEventId) return;
    this.latestEventId = payload.id;
    this.handlers.event(payload);
  }

  #settle(id, answer) {
    const waiting = this.acks.get(id);
    if (!waiting) return;
    this.acks.delete(id);
    clearTimeout(waiting.timer);
    if (answer instanceof Error || answer?.error) waiting.reject(answer);
    else waiting.resolve(answer);
  }
}
