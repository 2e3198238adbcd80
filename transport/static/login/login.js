// Sends the key once; the server answers with a cookie that this script cannot read. The key is kept nowhere.

const prefix = new URL("..", import.meta.url).pathname.slice(0, -1); // a proxy may show the server below a path

const words = {
  en: {
    wrong: "This key is not right.",
    often: (seconds) => `Too many tries. Try again in ${seconds} s.`,
    odd: (status) => `The server could not log you in (status ${status}).`,
    unreachable: "The server does not answer. Is it running?",
  },
  zh: {
    title: "登录 · Greenroom",
    hint: "此服务器需要密钥，即启动时设置的 SESSION_API_KEY。",
    key: "密钥",
    submit: "登录",
    wrong: "密钥不正确。",
    often: (seconds) => `尝试次数过多，请在 ${seconds} 秒后重试。`,
    odd: (status) => `服务器无法登录（状态 ${status}）。`,
    unreachable: "服务器没有响应。它在运行吗？",
  },
};

const isChinese = navigator.language.toLowerCase().startsWith("zh");
const say = isChinese ? words.zh : words.en;
const find = (id) => document.getElementById(id);

if (isChinese) {
  document.documentElement.lang = "zh";
  document.title = words.zh.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = words.zh[element.dataset.text];
}

/** Where the visitor wanted to go, if that is a page of this server. */
function destination() {
  const wanted = new URLSearchParams(location.search).get("next") ?? `${prefix}/`;
  const url = URL.canParse(wanted, location.origin) ? new URL(wanted, location.origin) : null;
  return url?.origin === location.origin ? url.href : `${prefix}/`;
}

/** The problem in words, or null when the visitor is in. */
async function logIn(key) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }) };
  let answer;
  try {
    answer = await fetch(`${prefix}/api/login`, request);
  } catch {
    return say.unreachable;
  }
  if (answer.ok) return null;
  if (answer.status === 401) return say.wrong;
  if (answer.status === 429) return say.often(answer.headers.get("Retry-After") ?? 10);
  return say.odd(answer.status);
}

find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  find("submit").disabled = true;
  find("problem").textContent = "";
  const problem = await logIn(find("key").value.trim());
  if (problem === null) {
    location.replace(destination());
    return;
  }
  find("submit").disabled = false;
  find("problem").textContent = problem;
  find("key").select();
});
