// Sends files one by one, three at a time, and shows for each how far it is until it is searchable.
import { rowShow, watch } from "./progress.js";

const AT_A_TIME = 3;
// Leftovers that systems put into folders.
const SKIPPED = /^(\.|Thumbs\.db$|desktop\.ini$|~\$)/;

const form = document.getElementById("upload");
const drop = document.getElementById("drop");
const rows = document.getElementById("rows");
const summary = document.getElementById("summary");
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
const waiting = [];
const counts = { all: 0, ready: 0, refused: 0 };
let sending = 0;

function sizeText(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(3, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const number = bytes / 1024 ** power;
  return `${power && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[power]}`;
}

function summarize() {
  const under = counts.all - counts.ready - counts.refused;
  const parts = [`${counts.all} ${counts.all === 1 ? "file" : "files"}`];
  if (counts.ready) parts.push(`${counts.ready} ready`);
  if (under) parts.push(`${under} on the way`);
  if (counts.refused) parts.push(`${counts.refused} failed`);
  summary.textContent = parts.join(" · ");
}

function rowAdd(file) {
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  row.querySelector("[data-name]").textContent = file.name;
  row.querySelector("[data-size]").textContent = sizeText(file.size);
  rows.prepend(row);
  counts.all += 1;
  return row;
}

function say(row, status, label) {
  row.className = `upload-row status-${status}`;
  row.dataset.status = status;
  row.querySelector("[data-label]").textContent = label;
}

function refuse(row, code, message) {
  say(row, "failed", "not accepted");
  row.querySelector("[data-bar]").hidden = true;
  row.querySelector("[data-error]").textContent = code ? `${message} (${code})` : message;
  counts.refused += 1;
  summarize();
}

function finish(row, state) {
  if (!state || state.status === "failed") counts.refused += 1;
  else counts.ready += 1;
  if (state) linksShow(row, state);
  summarize();
}

function linksShow(row, state) {
  const links = row.querySelector("[data-links]");
  links.hidden = false;
  links.querySelector("[data-open]").href = state.url;
  links.querySelector("[data-search]").href = state.search_url;
  links.querySelector("[data-search]").hidden = state.status === "failed";
}

function progressShow(row, state) {
  rowShow(row, state);
  if (!state) return say(row, "failed", "deleted");
  const again = row.dataset.again ? "already there · " : "";
  say(row, state.status, again + state.label);
  if (state.error_code) row.querySelector("[data-error]").textContent = `${state.error} (${state.error_code})`;
}

function accepted(row, state) {
  if (!state.is_new) row.dataset.again = "yes";
  progressShow(row, state);
  if (state.is_final) return finish(row, state);
  watch(state.id, form.dataset.progressUrl, (next) => {
    progressShow(row, next);
    if (!next || next.is_final) finish(row, next);
  });
}

function answered(row, request) {
  let body = null;
  try {
    body = JSON.parse(request.responseText);
  } catch {
    return refuse(row, "", `The server failed on this file (${request.status}).`);
  }
  if (request.status < 300) accepted(row, body);
  else refuse(row, body.code, body.message);
}

function send(file, row) {
  const body = new FormData();
  body.append("collection", row.dataset.collection);
  body.append("file", file);
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("X-CSRFToken", token);
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (event) => {
    const percent = Math.floor((100 * event.loaded) / event.total);
    row.querySelector("[data-bar]").value = percent;
    say(row, "sending", percent < 100 ? `uploading ${percent} %` : "checking");
  });
  request.addEventListener("load", () => answered(row, request));
  request.addEventListener("error", () => refuse(row, "", "The connection broke; upload it again."));
  request.addEventListener("loadend", () => {
    sending -= 1;
    sendNext();
  });
  sending += 1;
  request.send(body);
}

function sendNext() {
  while (sending < AT_A_TIME && waiting.length) {
    const [file, row] = waiting.shift();
    send(file, row);
  }
}

function add(files) {
  const collection = document.getElementById("collection");
  if (!collection) {
    summary.textContent = "First make a collection to upload into.";
    document.querySelector(".new-collection input[name=name]").focus();
    return;
  }
  for (const file of files) {
    if (SKIPPED.test(file.name)) continue;
    const row = rowAdd(file);
    row.dataset.collection = collection.value;
    if (file.size > Number(form.dataset.maxBytes)) {
      const limit = sizeText(Number(form.dataset.maxBytes));
      refuse(row, "file_too_large", `The file is larger than the limit of ${limit}.`);
    } else {
      waiting.push([file, row]);
    }
  }
  summarize();
  sendNext();
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const found = [];
  // readEntries gives at most a hundred at a time, and an empty list at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...some);
  }
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const inside = await Promise.all((await entriesOf(entry)).map(filesOf));
  return inside.flat();
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return (await Promise.all(entries.map(filesOf))).flat();
}

for (const id of ["files", "folder"]) {
  document.getElementById(id).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
}

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("is-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("is-over");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("is-over");
  add(await dropped(event.dataTransfer));
});
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
