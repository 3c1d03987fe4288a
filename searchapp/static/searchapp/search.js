// The search page: a picture by button, paste or drop; short URLs; moving between cards by arrows.
import { isTyping, toast } from "./app.js";

const form = document.getElementById("ask");
const input = document.getElementById("picture");
const chip = document.getElementById("picture-chip");
const preview = document.getElementById("picture-preview");
const ACCEPTED = input.accept.split(",");

function pictureShow() {
  const file = input.files[0];
  const before = preview.src;
  chip.hidden = !file;
  preview.removeAttribute("src");
  if (before) URL.revokeObjectURL(before);
  if (file) preview.src = URL.createObjectURL(file);
}

function pictureSet(files) {
  const picture = [...files].find((file) => ACCEPTED.includes(file.type));
  if (!picture) {
    toast("To search with a picture, use a PNG, JPEG, WebP or GIF.");
    return;
  }
  const transfer = new DataTransfer();
  transfer.items.add(picture);
  input.files = transfer.files;
  pictureShow();
  form.requestSubmit();
}

input.addEventListener("change", () => {
  pictureShow();
  if (input.files[0]) form.requestSubmit();
});

document.getElementById("picture-remove").addEventListener("click", () => {
  input.value = "";
  pictureShow();
  form.requestSubmit();
});

document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    pictureSet(event.clipboardData.files);
  }
});

document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.add("is-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("is-over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("is-over");
  pictureSet(event.dataTransfer.files);
});

// A picture is posted; words alone go into the URL, without the fields that say nothing.
form.addEventListener("htmx:configRequest", (event) => {
  const detail = event.detail;
  if (input.files[0]) {
    detail.verb = "post";
    detail.useUrlParams = false;
    return;
  }
  detail.formData.delete("picture");
  if (detail.formData.get("view") === "documents") detail.formData.delete("view");
  for (const [name, value] of [...detail.formData.entries()]) {
    if (value === "") detail.formData.delete(name);
  }
});

// "Show more" of a picture query has no URL: the form is sent again with a larger limit.
document.addEventListener("click", (event) => {
  const more = event.target.closest("[data-more]");
  if (!more) return;
  event.preventDefault();
  const field = Object.assign(document.createElement("input"), {
    type: "hidden",
    name: "limit",
    value: more.dataset.more,
  });
  form.append(field);
  form.requestSubmit();
  field.remove();
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

document.addEventListener("keydown", (event) => {
  const cards = [...document.querySelectorAll("[data-card]")];
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
});
