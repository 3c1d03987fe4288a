// The search page: short URLs, filters and chips, moving between cards, giving up and trying again.
import { isTyping } from "./app.js";
import { hasPicture } from "./picture.js";

const form = document.getElementById("ask");
const results = document.getElementById("results");
const filters = document.getElementById("filters");
const weight = form.elements.weight;
const AGAIN_MS = 4000;
const OPPOSITES = {
  like: "unlike",
  unlike: "like",
  document: "without_document",
  without_document: "document",
};
const ABSENT = { view: "documents", sort: "relevance" };

weight.addEventListener("input", () => (weight.dataset.isSet = ""));

// A picture is posted; all else goes into the URL, without the fields that say nothing.
form.addEventListener("htmx:configRequest", (event) => {
  if (event.target !== form) return;
  const { detail } = event;
  const asks = detail.formData;
  const isMixed = asks.get("q") && (hasPicture() || asks.has("part"));
  if (!isMixed || !("isSet" in weight.dataset)) asks.delete("weight");
  if (hasPicture()) {
    detail.verb = "post";
    detail.useUrlParams = false;
    asks.delete("part");
    return;
  }
  asks.delete("picture");
  asks.delete("picture_key");
  for (const [name, value] of [...asks.entries()]) {
    if (value === "" || value === ABSENT[name]) asks.delete(name);
  }
});

// The page stays as it is until the answer is here, and says that it will change.
form.addEventListener("htmx:beforeRequest", () => results.setAttribute("aria-busy", "true"));
form.addEventListener("htmx:afterRequest", () => results.removeAttribute("aria-busy"));

// A value is wanted or unwanted, not both.
form.addEventListener(
  "change",
  (event) => {
    const option = event.target.closest(".option");
    if (!option || !event.target.checked) return;
    for (const other of option.querySelectorAll("input")) {
      if (other !== event.target) other.checked = false;
    }
  },
  true,
);

// Menus are drawn anew with each answer: those that were open stay open.
let open = [];
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.detail.target.id !== "menus") return;
  open = [...event.detail.target.querySelectorAll("details[open]")].map((menu) => menu.id);
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.detail.target.id !== "menus") return;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  document.getElementById("filters-set").hidden = !form.querySelector(".reset");
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target !== results) return;
  if (matchMedia("(min-width: 60.001rem)").matches && filters.matches(":popover-open")) filters.hidePopover();
  document.title = document.title.replace(/^.* · /, `${form.elements.q.value.slice(0, 60) || "Search"} · `);
});

// The form is sent with one field more; "Show more" of a picture query has no URL of its own.
function sendWith(name, value) {
  const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  form.append(field);
  form.requestSubmit();
  field.remove();
}

document.addEventListener("click", (event) => {
  const more = event.target.closest("[data-more]");
  const add = event.target.closest("[data-add]");
  if (more) {
    event.preventDefault();
    sendWith("limit", more.dataset.more);
  }
  if (add) {
    add.closest("details").open = false;
    const opposite = OPPOSITES[add.dataset.add];
    const said = form.querySelector(`#chips [name=${opposite}][value="${add.value}"]`);
    if (said) said.checked = false;
    sendWith(add.dataset.add, add.value);
    scrollTo({ top: 0 });
  }
});

// A model that is loading is asked again, unless somebody asked something else meanwhile.
document.addEventListener("htmx:afterSettle", () => {
  const again = document.querySelector("[data-again]");
  if (again) setTimeout(() => again.isConnected && again.click(), AGAIN_MS);
});

function below(cards, current, direction) {
  const from = current.getBoundingClientRect();
  const rows = cards.filter((card) => {
    const top = card.getBoundingClientRect().top;
    return direction > 0 ? top > from.top + 5 : top < from.top - 5;
  });
  const away = (card) => {
    const box = card.getBoundingClientRect();
    return Math.abs(box.top - from.top) * 10 + Math.abs(box.left - from.left);
  };
  return rows.sort((a, b) => away(a) - away(b))[0];
}

function move(event) {
  const cards = [...document.querySelectorAll("[data-card]")].filter((card) => card.checkVisibility());
  const isDownFromField = event.target.id === "q" && event.key === "ArrowDown";
  if (!cards.length || (isTyping(event) && !isDownFromField)) return;
  const at = cards.indexOf(document.activeElement);
  const next = {
    ArrowRight: () => cards[at + 1],
    ArrowLeft: () => cards[at - 1],
    ArrowDown: () => (at < 0 ? cards[0] : below(cards, cards[at], 1)),
    ArrowUp: () => (at < 0 ? undefined : below(cards, cards[at], -1)),
  }[event.key]?.();
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const CARD_KEYS = {
  s: (card) => card.querySelector(".tool[data-similar]").click(),
  "+": (card) => card.querySelector("[data-add=like]").click(),
  "-": (card) => card.querySelector("[data-add=unlike]").click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && results.hasAttribute("aria-busy")) {
    htmx.trigger(form, "htmx:abort");
    return;
  }
  const card = document.activeElement?.closest(".hit");
  if (card && !isTyping(event) && CARD_KEYS[event.key]) {
    event.preventDefault();
    CARD_KEYS[event.key](card);
    return;
  }
  move(event);
});
