// The palette: / or Ctrl-K opens it, what is typed is looked for on the server, arrows choose, Enter goes, Esc closes.
const palette = document.getElementById("palette");
const field = document.getElementById("palette-text");
const list = document.getElementById("palette-list");
const said = document.getElementById("palette-said");
const all = document.getElementById("palette-all");
const opener = document.getElementById("search-open");
const icons = document.getElementById("palette-icons").content;
const DELAY_MS = 120;
let timer = 0;
let running = null;
let chosen = -1;

const isTyping = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
const options = () => [...list.children];

function open() {
  if (palette.open || document.querySelector("dialog[open]")) return;
  palette.showModal();
  field.select();
  look();
}

function choose(index) {
  const shown = options();
  chosen = shown.length === 0 ? -1 : (index + shown.length) % shown.length;
  shown.forEach((option, at) => option.setAttribute("aria-selected", String(at === chosen)));
  if (chosen < 0) { field.removeAttribute("aria-activedescendant"); return; }
  field.setAttribute("aria-activedescendant", shown[chosen].id);
  shown[chosen].scrollIntoView({ block: "nearest" });
}

function draw(hit, index) {
  const option = document.createElement("li");
  option.id = `palette-${index}`;
  option.setAttribute("role", "option");
  option.dataset.address = hit.address;
  const icon = icons.querySelector(`[data-kind="${CSS.escape(hit.kind)}"]`);
  if (icon) option.append(icon.firstElementChild.cloneNode(true));
  for (const [name, text] of [["name", hit.name], ["about", hit.context], ["what", hit.kind]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text;
    option.append(part, " ");
  }
  return option;
}

function show(answer) {
  list.replaceChildren(...answer.items.map(draw));
  all.href = answer.query ? `/search?q=${encodeURIComponent(answer.query)}` : "/search";
  choose(0);
  const found = `${answer.items.length}${answer.is_cut ? " of more" : ""} found`;
  said.textContent = [answer.query ? (answer.items.length ? found : `Nothing has the words “${answer.query}”.`) : "Pages to go to", ...answer.notes].join(" · ");
}

async function look() {
  running?.abort();
  const mine = running = new AbortController();
  try {
    const reply = await fetch(`/api/v1/search?limit=20&q=${encodeURIComponent(field.value)}`, { headers: { Accept: "application/json" }, signal: mine.signal });
    const answer = await reply.json();
    if (mine !== running) return;
    if (reply.ok) show(answer); else { show({ query: "", items: [], notes: [] }); said.textContent = answer.error.message; }
  } catch (error) {
    if (error.name !== "AbortError") said.textContent = "The server can't be reached.";
  } finally {
    if (mine === running) running = null;
  }
}

function go(option, elsewhere) {
  if (!option) return;
  if (elsewhere) window.open(option.dataset.address, "_blank", "noopener"); else { palette.close(); location.assign(option.dataset.address); }
}

async function enter(elsewhere) {
  if (timer || running) { clearTimeout(timer); timer = 0; await look(); } // what is typed, not what was found before
  go(options()[chosen], elsewhere);
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => { timer = 0; look(); }, DELAY_MS);
});
field.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const elsewhere = event.ctrlKey || event.metaKey;
  const act = { ArrowDown: () => choose(chosen + 1), ArrowUp: () => choose(chosen - 1), Enter: () => enter(elsewhere) }[event.key];
  if (act) { event.preventDefault(); act(); }
});
list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
list.addEventListener("click", (event) => go(event.target.closest("[role=option]"), event.ctrlKey || event.metaKey));
palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
palette.addEventListener("close", () => { clearTimeout(timer); timer = 0; running?.abort(); });
if (opener) {
  opener.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
  document.addEventListener("keydown", (event) => {
    const isChord = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
    const isSlash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target);
    if (event.defaultPrevented || !(isChord || isSlash)) return;
    event.preventDefault();
    open();
  });
}
