// The table of runs without pages: rows are fetched as they are scrolled to, and only those in sight are in the document.
// The page that is in sight stands in the address; what is marked stays marked when it is out of sight.
const ROW = 40; // as the style sheet has it
const TALLEST = 24e6; // browsers draw nothing taller than about 33 million pixels
const AROUND = 20;
let table = null;

class Rows {
  // `before`: the table that stood here until the page's data changed; its rows are shown until they are fetched anew.
  constructor(section, before) {
    this.section = section;
    this.total = Number(section.dataset.total);
    this.perPage = Number(section.dataset.perPage);
    this.place = section.querySelector(".scroll");
    this.body = section.querySelector("tbody");
    this.asked = new Set();
    this.marked = before?.marked ?? new Set();
    this.pages = new Map(before?.pages);
    this.stale = new Set(this.pages.keys());
    this.keep(Number(section.dataset.page), [...this.body.rows]);
    this.height = Math.min(this.total * ROW, TALLEST);
    this.ratio = (this.total * ROW) / this.height;
    for (const head of section.querySelectorAll("thead th")) head.style.minWidth = `${Math.ceil(head.getBoundingClientRect().width)}px`;
    this.place.classList.add("tall");
    this.spaces = [0, 1].map(() => { const row = document.createElement("tr"); row.className = "space"; row.append(document.createElement("td")); row.setAttribute("aria-hidden", "true"); return row; });
    section.querySelector("table").setAttribute("aria-rowcount", this.total + 1);
    this.place.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("change", (event) => { if (event.target.name === "run") this.mark(event.target); });
    section.querySelector("form").addEventListener("submit", (event) => this.carry(event.target));
    section.querySelector(".more").hidden = true;
    this.said = section.querySelector("header p");
    this.told = this.said.textContent;
  }

  // Show from a row on; the room must be there before it can be scrolled to.
  start(first) {
    this.space(0, this.height);
    this.body.replaceChildren(...this.spaces);
    this.place.scrollTop = (first * ROW) / this.ratio;
    this.draw();
  }

  space(above, below) {
    [above, below].forEach((height, at) => {
      const [cell] = this.spaces[at].cells;
      cell.style.height = `${height}px`;
      cell.colSpan = 99;
    });
  }

  keep(page, rows) {
    this.pages.set(page, rows);
    this.stale.delete(page);
    for (const row of rows) { const box = row.querySelector("input[name=run]"); if (box) box.checked = this.marked.has(box.value); }
  }

  draw() {
    const seen = Math.ceil(this.place.clientHeight / ROW);
    const top = Math.max(0, Math.min(this.total - 1, Math.floor((this.place.scrollTop * this.ratio) / ROW)));
    this.first = top;
    const from = Math.max(0, top - AROUND);
    const to = Math.min(this.total, top + seen + AROUND);
    const rows = [];
    const pages = new Set();
    for (let at = from; at < to; at += 1) {
      const page = Math.floor(at / this.perPage) + 1;
      const row = this.pages.get(page)?.[at % this.perPage];
      if (!row || this.stale.has(page)) pages.add(page);
      rows.push(row ?? this.waiting());
      if (row) row.setAttribute("aria-rowindex", at + 2);
    }
    // Where all rows together are taller than a browser can draw, the place of those in sight follows the scroll bar.
    const above = this.ratio === 1 ? from * ROW : Math.max(0, this.place.scrollTop - (top - from) * ROW);
    const below = Math.max(0, this.height - above - rows.length * ROW);
    const held = document.activeElement?.closest("tr");
    this.space(above, below);
    this.body.replaceChildren(this.spaces[0], ...rows, this.spaces[1]);
    if (held && rows.includes(held)) (held.querySelector("a.open") ?? held).focus({ preventScroll: true });
    for (const page of pages) this.fetch(page);
    this.tell(top, Math.min(this.total, top + seen));
  }

  waiting() {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    cell.colSpan = 99;
    cell.textContent = "…";
    row.append(cell);
    return row;
  }

  async fetch(page) {
    if (this.asked.has(page)) return;
    this.asked.add(page);
    const address = new URL(location.href);
    address.searchParams.set("page", page);
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const rows = new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("#runs tbody tr");
      this.keep(page, [...rows].map((row) => document.adoptNode(row)));
      this.forget(page);
      if (table === this) this.draw();
    } finally {
      this.asked.delete(page);
    }
  }

  // A few pages around the one in sight are kept.
  forget(page) {
    for (const known of this.pages.keys()) if (Math.abs(known - page) > 8) this.pages.delete(known);
  }

  mark(box) {
    if (box.checked) this.marked.add(box.value); else this.marked.delete(box.value);
  }

  // Marked rows that are out of sight go with the form.
  carry(form) {
    for (const old of form.querySelectorAll("input[data-carried]")) old.remove();
    const shown = new Set([...this.body.querySelectorAll("input[name=run]")].map((box) => box.value));
    for (const id of this.marked) if (!shown.has(id)) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "run", value: id }));
    for (const field of form.querySelectorAll("input[type=hidden][name=run]")) field.dataset.carried = "1";
  }

  tell(from, to) {
    this.said.textContent = `${this.told}, ${(from + 1).toLocaleString("en")} to ${to.toLocaleString("en")} in sight`;
    const page = Math.floor(from / this.perPage) + 1;
    const query = new URLSearchParams(location.search);
    if (page > 1) query.set("page", page); else query.delete("page");
    const text = query.toString();
    if (text !== location.search.slice(1)) history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
  }
}

function bind() {
  const section = document.getElementById("runs");
  if (table?.section === section && section) return;
  const before = table;
  table = null;
  if (!section?.dataset.total || !section.querySelector("tbody") || Number(section.dataset.total) <= Number(section.dataset.perPage)) return;
  table = new Rows(section, before);
  table.start(before ? before.first : (Number(section.dataset.page) - 1) * table.perPage);
}

bind();
document.addEventListener("holdfast:changed", bind);
