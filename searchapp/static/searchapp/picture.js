// The picture of a question: chosen, pasted, dropped, photographed; made smaller; kept in this tab.
import { boxSelection } from "./box.js";
import { toast } from "./app.js";

// The engine looks at no more; a photo of a phone has ten times as many.
const MOST_PIXELS = 2_458_624;
const KEPT_CHARS = 4_000_000;

const form = document.getElementById("ask");
const input = document.getElementById("picture");
const camera = document.getElementById("camera");
const key = document.getElementById("picture-key");
const chip = document.getElementById("picture-chip");
const preview = document.getElementById("picture-preview");
const ACCEPTED = input.accept.split(",");
// What was chosen, of which `input` may hold only a part.
let whole = null;

export const hasPicture = () => input.files.length > 0;

function show() {
  const file = input.files[0];
  const before = preview.src;
  chip.hidden = !file;
  preview.removeAttribute("src");
  if (before) URL.revokeObjectURL(before);
  if (file) preview.src = URL.createObjectURL(file);
}

function hold(file) {
  const transfer = new DataTransfer();
  if (file) transfer.items.add(file);
  input.files = transfer.files;
  show();
}

// Going back in the history finds the picture here, under the key in the URL.
async function keep(file) {
  key.value = "";
  const reader = new FileReader();
  await new Promise((done) => {
    reader.onloadend = done;
    reader.readAsDataURL(file);
  });
  const name = Math.random().toString(36).slice(2, 10);
  if (typeof reader.result !== "string" || reader.result.length > KEPT_CHARS) return;
  for (const old of Object.keys(sessionStorage).filter((one) => one.startsWith("picture:")).slice(0, -2)) {
    sessionStorage.removeItem(old);
  }
  try {
    sessionStorage.setItem(`picture:${name}`, reader.result);
    key.value = name;
  } catch {
    // No room, or storage is blocked: going back then asks for the picture again.
  }
}

// The box is in fractions of the picture. GIF and small pictures are sent as they are.
async function cut(file, box) {
  const bitmap = await createImageBitmap(file);
  const [x, y] = [box.x * bitmap.width, box.y * bitmap.height];
  const [width, height] = [box.width * bitmap.width, box.height * bitmap.height];
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, x, y, width, height, 0, 0, canvas.width, canvas.height);
  const isLarge = canvas.width * canvas.height > 600_000;
  const type = isLarge ? "image/jpeg" : "image/png";
  const blob = await new Promise((done) => canvas.toBlob(done, type, 0.92));
  return new File([blob], isLarge ? "query.jpg" : "query.png", { type });
}

async function ask(file) {
  hold(file);
  await keep(file);
  form.requestSubmit();
}

async function choose(files) {
  const file = [...files].find((one) => one.type.startsWith("image/"));
  if (!file) {
    toast("To search with a picture, use a PNG, JPEG, WebP or GIF.");
    return;
  }
  try {
    const bitmap = await createImageBitmap(file);
    const isFine = ACCEPTED.includes(file.type) && bitmap.width * bitmap.height <= MOST_PIXELS;
    whole = isFine ? file : await cut(file, { x: 0, y: 0, width: 1, height: 1 });
  } catch {
    // The browser cannot read it: the server says what is wrong with it.
    whole = file;
  }
  await ask(whole);
}

for (const chooser of [input, camera]) {
  chooser.addEventListener("change", () => chooser.files.length && choose(chooser.files));
}

document.getElementById("picture-remove").addEventListener("click", () => {
  whole = null;
  key.value = "";
  hold(null);
  document.getElementById("q").focus();
  form.requestSubmit();
});

document.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  choose(event.clipboardData.files);
});

const isFiles = (event) => event.dataTransfer.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  form.classList.add("is-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("is-over");
});
document.addEventListener("drop", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  form.classList.remove("is-over");
  choose(event.dataTransfer.files);
});

const dialog = document.getElementById("crop");
const image = document.getElementById("crop-image");
const box = boxSelection(dialog.querySelector(".box"));

document.getElementById("picture-crop").addEventListener("click", async () => {
  image.src = URL.createObjectURL(whole);
  await image.decode().catch(() => undefined);
  box.set({ x: 0.2, y: 0.2, width: 0.6, height: 0.6 });
  dialog.showModal();
  box.focus();
});
dialog.addEventListener("close", () => URL.revokeObjectURL(image.src));
document.getElementById("crop-cancel").addEventListener("click", () => dialog.close());
document.getElementById("crop-whole").addEventListener("click", () => {
  dialog.close();
  ask(whole);
});
async function cropUse() {
  const chosen = box.get();
  dialog.close();
  if (chosen) await ask(await cut(whole, chosen));
}
document.getElementById("crop-use").addEventListener("click", cropUse);
dialog.querySelector(".box").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  cropUse();
});

// A page that was come back to: its picture is in this tab, or nowhere.
function restore() {
  const kept = key.value && sessionStorage.getItem(`picture:${key.value}`);
  if (!kept || hasPicture()) return;
  const [head, data] = kept.split(",");
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  // It is asked again at once: nothing is missing meanwhile.
  document.getElementById("picture-wanted")?.remove();
  whole = new File([bytes], "query", { type: head.slice("data:".length).split(";")[0] });
  hold(whole);
  form.requestSubmit();
}
// Before htmx knows the form, the browser itself would send it and load the page anew.
document.addEventListener("htmx:load", restore, { once: true });
