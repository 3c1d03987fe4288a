// Keeps the status of documents that are on their way current, and reloads when one gets ready.
import { rowShow, watch } from "./progress.js";

function watchAll() {
  for (const element of document.querySelectorAll("[data-progress]:not([data-final])")) {
    watch(element.dataset.progress, "/documents/progress", (row) => {
      rowShow(element, row);
      if (row) element.className = `status status-${row.status}`;
      if (row?.is_final) location.reload();
    });
  }
}

document.addEventListener("htmx:afterSettle", watchAll);
watchAll();
