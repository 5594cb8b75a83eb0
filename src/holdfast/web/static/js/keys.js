// Keyboard: g + letter goes to a room, j and k walk rows, Enter opens (the focused link does that itself), t, ?.
const help = document.getElementById("help");
let going = 0;

const isTyping = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;

function openHelp() {
  if (!help.open) help.showModal();
}

function links() {
  return [...document.querySelectorAll("table[data-rows] tbody tr")].map((row) => row.querySelector("a.open")).filter(Boolean);
}

function walk(step) {
  const all = links();
  if (all.length === 0) return;
  const at = all.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const to = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
  all[to].focus();
  all[to].scrollIntoView({ block: "nearest" });
}

function mark() {
  document.activeElement?.closest("tr")?.querySelector("input[type=checkbox]")?.click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target) || help.open) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const room = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (room) { event.preventDefault(); location.assign(room.href); }
    return;
  }
  const act = { g: () => { going = Date.now(); }, j: () => walk(1), k: () => walk(-1), x: mark, c: () => document.querySelector(".marks button")?.click(), t: () => document.getElementById("theme").click(), "?": openHelp }[event.key];
  if (act) { event.preventDefault(); act(); }
});

document.getElementById("help-open").addEventListener("click", openHelp);
help.addEventListener("click", (event) => { if (event.target === help) help.close(); });

// A click anywhere on a row opens it, as its link would.
document.addEventListener("click", (event) => {
  const row = event.target.closest("table[data-rows] tbody tr");
  if (!row || event.target.closest("a, button, summary, input") || getSelection().toString()) return;
  const link = row.querySelector("a.open");
  if (link) link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
});

// A cell of the heat map opens its input's values in its window.
document.addEventListener("click", (event) => {
  const cell = event.target.closest("table[data-heat] tbody td");
  if (!cell) return;
  const link = new URL(cell.parentElement.querySelector("a").href);
  link.searchParams.set("at", cell.closest("table").tHead.rows[0].cells[cell.cellIndex].dataset.at);
  location.assign(link);
});

// A heat map wider than its place begins at its newest window.
function showNewest() {
  for (const table of document.querySelectorAll("table[data-heat]:not([data-moved])")) {
    table.dataset.moved = "";
    const place = table.closest(".scroll");
    place.scrollLeft = place.scrollWidth;
  }
}

showNewest();
document.addEventListener("holdfast:changed", showNewest);
