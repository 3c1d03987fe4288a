// The viewer: turning pages by keys, marks on and off, a part of the page to search by.
import { boxSelection } from "./box.js";
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

function partToggle() {
  const part = document.getElementById("part");
  const toggle = document.getElementById("part-toggle");
  if (!part) return;
  part.hidden = !part.hidden;
  toggle.setAttribute("aria-pressed", String(!part.hidden));
  if (!part.hidden) part.querySelector(".box").focus();
  else toggle.focus();
}

// A box becomes the address of the results: page and edges in thousandths.
function partArrange() {
  const part = document.getElementById("part");
  if (!part || part.dataset.isReady) return;
  part.dataset.isReady = "yes";
  const link = document.getElementById("part-search");
  const hint = document.getElementById("part-hint");
  boxSelection(part.querySelector(".box"), (box) => {
    link.hidden = !box;
    hint.hidden = Boolean(box);
    if (!box) return;
    const edges = [box.x, box.y, box.x + box.width, box.y + box.height];
    const thousandths = edges.map((edge) => Math.round(edge * 1000));
    link.href = `/?part=${[part.dataset.page, ...thousandths].join()}`;
  });
  part.querySelector(".box").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || link.hidden) return;
    event.preventDefault();
    link.click();
  });
}

function leave() {
  const part = document.getElementById("part");
  if (part && !part.hidden) partToggle();
  else follow(document.getElementById("back"));
}

const KEYS = {
  ArrowLeft: () => follow(document.getElementById("turn-before")),
  ArrowRight: () => follow(document.getElementById("turn-after")),
  n: () => follow(hit(1)),
  p: () => follow(hit(-1)),
  m: () => document.getElementById("marks-toggle")?.click(),
  s: () => follow(document.getElementById("similar")),
  c: partToggle,
  Escape: leave,
};

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open], details[data-closes][open]")) return;
  KEYS[event.key]?.();
});

let panel = "text";
let marks = true;

function arrange() {
  partArrange();
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
document.addEventListener("click", (event) => {
  if (event.target.closest("#part-toggle")) partToggle();
});
document.addEventListener("htmx:afterSettle", arrange);
arrange();
