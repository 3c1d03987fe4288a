// On every page: theme button, menus that close, questions before deleting, the list of keys, errors.

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is blocked: the choice lasts for this page only.
  }
}

function toggleTheme() {
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const current = root.dataset.theme || (systemDark ? "dark" : "light");
  root.dataset.theme = current === "dark" ? "light" : "dark";
  store("theme", root.dataset.theme);
}

export function isTyping(event) {
  const target = event.target;
  return (
    target.isContentEditable ||
    ["TEXTAREA", "SELECT"].includes(target.tagName) ||
    (target.tagName === "INPUT" && !["checkbox", "button", "submit"].includes(target.type))
  );
}

export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.hidden = false;
  setTimeout(() => (element.hidden = true), 8000);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  if (event.target.closest("[data-keys-open]")) document.getElementById("keys").showModal();
  for (const menu of document.querySelectorAll("details[data-closes][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details[data-closes][open]")) menu.open = false;
  }
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") document.getElementById("keys")?.showModal();
  if (event.key === "/") {
    event.preventDefault();
    const field = document.getElementById("q");
    if (field) field.select();
    else location.assign("/");
  }
});

document.addEventListener("htmx:responseError", (event) => {
  toast(`The server failed on this request (${event.detail.xhr.status}).`);
});
document.addEventListener("htmx:sendError", () => {
  toast("The server did not answer. Is it running?");
});
