// The viewer: turning pages by keys, marks on and off, the strip scrolled to the current page.
import { isTyping } from "./app.js";

function follow(link) {
  if (link) link.click();
}

function hit(direction) {
  const items = [...document.querySelectorAll(".strip-item")];
  const at = items.findIndex((item) => item.hasAttribute("aria-current"));
  const rest = direction > 0 ? items.slice(at + 1) : items.slice(0, at).reverse();
  return rest.find((item) => item.classList.contains("is-hit"));
}

const KEYS = {
  ArrowLeft: () => follow(document.getElementById("turn-before")),
  ArrowRight: () => follow(document.getElementById("turn-after")),
  n: () => follow(hit(1)),
  p: () => follow(hit(-1)),
  m: () => document.getElementById("marks-toggle")?.click(),
  Escape: () => follow(document.getElementById("back")),
};

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open], details[data-closes][open]")) return;
  KEYS[event.key]?.();
});

let panel = "text";
let marks = true;

function arrange() {
  const strip = document.querySelector(".strip");
  const current = strip.querySelector("[aria-current]");
  strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.clientWidth) / 2;
  const chosen = document.querySelector(`[name=panel][value=${panel}]`);
  if (chosen) chosen.checked = true;
  const toggle = document.getElementById("marks-toggle");
  if (toggle) toggle.checked = marks;
}

// What was chosen on one page holds on the next.
document.addEventListener("change", (event) => {
  if (event.target.name === "panel") panel = event.target.value;
  if (event.target.id === "marks-toggle") marks = event.target.checked;
});
// After a tab was clicked, the arrow keys turn pages again; reached by keyboard, they move in the tabs.
document.addEventListener("pointerup", (event) => {
  if (event.target.closest(".tabs")) setTimeout(() => document.activeElement.blur());
});
document.addEventListener("htmx:afterSettle", arrange);
arrange();
