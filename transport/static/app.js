// Which part of the page is shown: the address says it, and this module alone reads and changes the address.

import * as api from "./api.js";
import { Chat } from "./chat.js";
import { alarm, byId, el } from "./dom.js";
import * as list from "./list.js";
import { at, path } from "./root.js";
import { translate, word } from "./words.js";

const EXAMPLES = ["$ echo $((40+2))", "$ uname -a && ls -la", "/think what would a tester ask", "/burst 20 200"];

let chat = null;

function show(part) {
  for (const id of ["home", "absent", "chat"]) byId(id).hidden = id !== part;
  document.body.dataset.part = part;
}

function route() {
  chat?.close();
  chat = null;
  byId("alerts").replaceChildren();
  const [, id] = path().match(/^\/conversations\/([^/]+)$/) ?? [];
  list.choose(id ? decodeURIComponent(id) : null);
  list.refresh();
  if (id) openChat(decodeURIComponent(id));
  else openHome();
}

function openHome() {
  document.title = "Greenroom";
  show("home");
  focus("first");
}

/** Where there is a keyboard anyhow; elsewhere one would come up over what is to be read. */
function focus(id) {
  if (matchMedia("(hover: hover)").matches) byId(id).focus();
}

function openChat(id) {
  show("chat");
  byId("menu").open = false;
  byId("text").value = "";
  chat = new Chat(id, { leave: (isAbsent) => (isAbsent ? leave() : go(at("/"))), changed: list.refresh });
  chat.open();
  focus("text");
}

function leave() {
  chat?.close();
  chat = null;
  document.title = "Greenroom";
  show("absent");
  list.refresh();
}

function go(address) {
  history.pushState(null, "", address);
  route();
}

async function create(event) {
  event.preventDefault();
  const button = byId("create").querySelector("button");
  button.disabled = true;
  try {
    const { conversation_id: id } = await api.create(byId("first").value.trim());
    byId("first").value = "";
    go(at(`/conversations/${id}`));
  } catch (failure) {
    alarm(failure.message);
  } finally {
    button.disabled = false;
  }
}

/** Enter sends, Shift+Enter is a new line; a field grows with its text. */
function composer(field) {
  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    field.form.requestSubmit();
  });
}

addEventListener("error", ({ message }) => alarm(word("because", word("failed"), message)));
addEventListener("unhandledrejection", ({ reason }) => alarm(word("because", word("failed"), reason?.message ?? reason)));
addEventListener("popstate", route);
document.addEventListener("click", (event) => {
  if (!event.target.closest("#menu")) byId("menu").open = false;
  const link = event.target.closest("a[data-link]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.pathname);
});
document.addEventListener("keydown", (event) => event.key === "Escape" && (byId("menu").open = false));

async function offerLogout() {
  byId("logout").hidden = !(await api.hasKey());
  byId("logout").addEventListener("click", () => api.logOut().catch((failure) => alarm(failure.message)));
}

translate();
byId("create").addEventListener("submit", create);
for (const text of EXAMPLES) {
  const use = () => {
    byId("first").value = text;
    byId("first").focus();
  };
  byId("examples").append(el("button", { type: "button", class: "chip", onclick: use }, text));
}
composer(byId("first"));
composer(byId("text"));
offerLogout();
route();
