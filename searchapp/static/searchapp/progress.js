// Polls the progress of documents once a second, one request for all, until each is final.

const watched = new Map();
let url = "";
let isPolling = false;

// show(row) is called with each Progress row of the server; show(null) when the document is gone.
export function watch(id, progressUrl, show) {
  url = progressUrl;
  watched.set(String(id), show);
  if (!isPolling) setTimeout(poll, 300);
  isPolling = true;
}

async function poll() {
  try {
    await ask([...watched.keys()].slice(0, 500));
  } catch {
    // The server is away: the rows keep what they say, the next poll may succeed.
  }
  isPolling = watched.size > 0;
  if (isPolling) setTimeout(poll, 1000);
}

async function ask(ids) {
  const response = await fetch(`${url}?ids=${ids.join(",")}`, {
    headers: { Accept: "application/json" },
  });
  if (response.status === 401) location.reload();
  if (!response.ok) return;
  const rows = new Map((await response.json()).documents.map((row) => [String(row.id), row]));
  for (const id of ids) {
    const row = rows.get(id) ?? null;
    watched.get(id)(row);
    if (!row || row.is_final) watched.delete(id);
  }
}

// Writes a Progress row into an element with [data-label], [data-bar] and [data-error].
export function rowShow(element, row) {
  element.querySelector("[data-label]").textContent = row ? row.label : "deleted";
  element.querySelector("[data-error]").textContent = row ? row.error : "";
  const bar = element.querySelector("[data-bar]");
  if (!bar) return;
  bar.hidden = !row || row.is_final;
  if (row && row.total) {
    bar.max = row.total;
    bar.value = row.done;
  } else {
    bar.removeAttribute("value");
  }
}
