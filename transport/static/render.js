// Events become what is seen of them. An action's card waits for its observation, which finds it by its cause.

import { el } from "./dom.js";
import { clock, explain, hasWord, word } from "./words.js";

const SILENT_ACTIONS = new Set(["system", "change_agent_state", "recall", "null"]);
const SILENT_OBSERVATIONS = new Set(["think", "recall", "null"]);
const PAGE_MS = 30;

/** Fills `log` with events, in their order, without holding up the page for long. */
export class Renderer {
  /** `decide(confirmed)` is called when the user decides about an action that waits; `drawn()` after each piece. */
  constructor(log, { decide, drawn }) {
    this.log = log;
    this.decide = decide;
    this.drawn = drawn;
    this.clear();
  }

  clear() {
    this.queue = [];
    this.cards = new Map();
    this.waiting = null;
    this.question = "";
    this.log.replaceChildren();
  }

  add(event) {
    this.queue.push(event);
    if (!this.scheduled) this.scheduled = setTimeout(() => this.#draw());
  }

  #draw() {
    this.scheduled = null;
    const until = performance.now() + PAGE_MS;
    const fragment = document.createDocumentFragment();
    let drawn = 0;
    while (drawn < this.queue.length && performance.now() < until) {
      const item = this.#item(this.queue[drawn++]);
      if (item) fragment.append(item);
    }
    this.queue.splice(0, drawn);
    this.log.append(fragment);
    this.log.parentElement.setAttribute("aria-busy", String(this.queue.length > 0));
    if (this.queue.length) this.scheduled = setTimeout(() => this.#draw());
    this.drawn();
  }

  #item(event) {
    const made = this.#make(event);
    if (!made) return null;
    made.dataset.id = event.id;
    made.title = clock(event.timestamp);
    return made;
  }

  #make(event) {
    const args = event.args ?? event.extras ?? {};
    if (String(event.observation).startsWith("greenroom.") || args.hidden) return null;
    if (event.action) return SILENT_ACTIONS.has(event.action) ? null : this.#action(event, args);
    return SILENT_OBSERVATIONS.has(event.observation) ? null : this.#observation(event, args);
  }

  #action(event, args) {
    switch (event.action) {
      case "message":
        return message(event, args);
      case "run":
        return this.#card(event, args);
      case "think":
        return el("li", { class: "thought" }, el("span", { class: "label" }, word("thought")), el("p", { class: "text" }, args.thought));
      case "finish":
        return args.final_thought ? el("li", { class: "message theirs" }, el("p", { class: "text" }, args.final_thought)) : null;
      default:
        return unknown(event, event.action);
    }
  }

  #observation(event, extras) {
    switch (event.observation) {
      case "run":
        return this.#output(event, extras);
      case "error":
      case "user_rejected":
        return this.#trouble(event, extras);
      case "agent_state_changed":
        return this.#state(extras);
      default:
        return unknown(event, event.observation);
    }
  }

  #card(event, args) {
    const card = {
      state: el("span", { class: "outcome" }, word("running")),
      output: el("pre", { class: "output", tabindex: "0", hidden: true }),
      risk: el("p", { class: "faint risk", hidden: true }),
    };
    this.cards.set(event.id, card);
    const made = el("li", { class: "card", data: { outcome: "running" } },
      el("div", { class: "card-head" }, el("code", { class: "command" }, args.command), card.state), card.risk, card.output);
    card.node = made;
    if (hasWord(`risk${args.security_risk}`)) {
      card.risk.textContent = word("risk", word(`risk${args.security_risk}`));
      card.risk.hidden = false;
    }
    if (args.confirmation_state === "awaiting_confirmation") this.#await(card);
    else if (this.waiting) this.#decided(args.confirmation_state);
    return made;
  }

  #await(card) {
    this.#outcome(card, "waiting", word("waits"));
    if (this.question) {
      card.risk.textContent = this.question;
      card.risk.hidden = false;
    }
    const button = (confirmed, text) =>
      el("button", { type: "button", class: confirmed ? "button small" : "button small quiet", onclick: () => this.decide(confirmed) }, text);
    card.buttons = el("div", { class: "card-buttons" }, button(true, word("confirm")), button(false, word("reject")));
    card.node.append(card.buttons);
    this.waiting = card;
  }

  /** The decision, a stop's among them, comes as a copy of the action with an id of its own, which takes the place of
      the one that waited. Until then it waits, whatever becomes of the server meanwhile. */
  #decided() {
    this.waiting.node.remove();
    this.waiting = null;
  }

  #outcome(card, outcome, text) {
    card.node.dataset.outcome = outcome;
    card.state.textContent = text;
  }

  #output(event, extras) {
    const card = this.cards.get(event.cause);
    if (!card) return el("li", { class: "card" }, el("pre", { class: "output", tabindex: "0" }, event.content));
    const code = extras.metadata?.exit_code ?? -1;
    this.#outcome(card, code === 0 ? "good" : "bad", code === -1 ? word("ended") : word("exit", code));
    card.output.textContent = event.content;
    card.output.hidden = !event.content;
    return null;
  }

  #trouble(event, extras) {
    const card = this.cards.get(event.cause);
    const text = [explain(extras.error_id), explain(null, event.content)].filter(Boolean).join("\n");
    if (!card) return el("li", { class: "trouble" }, el("span", { class: "label" }, word("error")), el("p", { class: "text" }, text));
    card.buttons?.remove();
    if (this.waiting === card) this.waiting = null;
    this.#outcome(card, "bad", event.observation === "user_rejected" ? word("rejected") : word("notRun"));
    card.output.textContent = text;
    card.output.hidden = false;
    return null;
  }

  #state({ agent_state: state, reason }) {
    const why = explain(reason, reason);
    if (state === "awaiting_user_confirmation") this.question = why;
    if (!hasWord(`saw_${state}`)) return null;
    return el("li", { class: "mark", data: { state } }, el("span", {}, why ? word("because", word(`saw_${state}`), why) : word(`saw_${state}`)));
  }
}

function message(event, args) {
  const mine = event.source === "user";
  const item = el("li", { class: `message ${mine ? "mine" : "theirs"}` },
    el("span", { class: "hidden" }, `${word(mine ? "you" : "agent")}: `), el("p", { class: "text" }, args.content));
  for (const url of args.image_urls ?? []) {
    if (/^data:image\/(png|jpeg|gif|webp);/.test(url)) item.append(el("img", { src: url, alt: word("image") }));
    else item.append(el("p", { class: "faint" }, `${word("image")}: ${url}`));
  }
  return item;
}

/** What this page does not know is shown as it is. */
function unknown(event, kind) {
  return el("li", { class: "unknown" },
    el("details", {}, el("summary", {}, `${word("unknown")}: ${kind}`), el("pre", { class: "output" }, JSON.stringify(event, null, 2))));
}
