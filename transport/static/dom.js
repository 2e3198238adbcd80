// Building the page: the only module that makes elements. Texts become text nodes, so nothing that an event says is
// ever read as HTML.

import { word } from "./words.js";

export const byId = (id) => document.getElementById(id);

/** An element. Properties named `on…` are listeners, `data` is its dataset, the rest are attributes; null is left out. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Say something that went wrong, until it is closed or said again. Returns what takes it back. */
export function alarm(text, { action = null, key = text } = {}) {
  const alerts = byId("alerts");
  for (const old of alerts.children) if (old.dataset.key === key) old.remove();
  const close = el("button", { type: "button", class: "icon-button", "aria-label": word("close"), onclick: () => made.remove() }, "×");
  const button = action && el("button", { type: "button", class: "button small", onclick: action.run }, action.text);
  const made = el("div", { class: "alert", data: { key } }, el("span", {}, text), button, close);
  alerts.append(made);
  return () => made.remove();
}

/** Ask in the dialog; resolves to the text that was entered (or "ok"), null when it was cancelled. */
export function ask({ title, text = "", ok, input = null, danger = false }) {
  const dialog = byId("dialog");
  const field = byId("dialog-input");
  byId("dialog-title").textContent = title;
  byId("dialog-text").textContent = text;
  byId("dialog-text").hidden = !text;
  byId("dialog-ok").textContent = ok;
  byId("dialog-ok").classList.toggle("danger", danger);
  field.hidden = input === null;
  field.required = input !== null;
  field.value = input ?? "";
  dialog.returnValue = "";
  byId("dialog-cancel").onclick = () => dialog.close("");
  dialog.showModal();
  if (input === null) byId("dialog-cancel").focus();
  else field.select();
  return new Promise((resolve) => {
    const closed = () => resolve(dialog.returnValue === "ok" ? field.value || "ok" : null);
    dialog.addEventListener("close", closed, { once: true });
  });
}
