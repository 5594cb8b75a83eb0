// Plots of many runs: the nearest run is named under the pointer and opens at a click; dragging along an axis of parallel
// coordinates keeps the lines that pass there. What is kept stands in the address.
const bound = new WeakSet();

const text = (value) => (value === null ? "none" : typeof value === "number" ? new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(value) : value);

function place(svg, event) {
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
}

// The distance of a point to a run's line, or to its dot.
function away(run, x, y) {
  if (run.x.length === 1) return Math.hypot(run.x[0] - x, run.y[0] - y);
  for (let at = 1; at < run.x.length; at += 1) {
    if (x < run.x[at - 1] || x > run.x[at]) continue;
    const part = (x - run.x[at - 1]) / (run.x[at] - run.x[at - 1]);
    return Math.abs(run.y[at - 1] + part * (run.y[at] - run.y[at - 1]) - y);
  }
  return Infinity;
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bind(figure) {
  const { axes, runs } = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg");
  const [near, readout] = [figure.querySelector(".near"), figure.querySelector(".readout")];
  const isParallel = figure.dataset.plot === "parallel";
  const lines = isParallel ? [...figure.querySelectorAll(".lines path")] : [];
  const brushes = new Map();
  const kept = runs.map(() => true);
  let found = null;

  const values = (at) => axes.map((axis) => `${axis.label} ${text(axis.values[at])}`).join(" · ");
  // A run's place among all runs: those of a scatter plot are only the ones that have both values.
  const all = isParallel ? runs.map((_, at) => at) : axes[0].share.flatMap((share, at) => (share !== null && axes[1].share[at] !== null ? [at] : []));

  svg.addEventListener("pointermove", (event) => {
    const [x, y] = place(svg, event);
    let best = 14;
    found = null;
    runs.forEach((run, at) => { if (kept[at]) { const far = away(run, x, y); if (far < best) { best = far; found = at; } } });
    svg.classList.toggle("found", found !== null);
    near.replaceChildren();
    readout.replaceChildren();
    if (found === null) return;
    const run = runs[found];
    near.append(isParallel ? element("path", { d: lines[found].getAttribute("d") }) : element("circle", { cx: run.x[0], cy: run.y[0], r: 7 }));
    readout.append(Object.assign(document.createElement("b"), { textContent: run.name }), ` · ${values(all[found])}`);
  });
  svg.addEventListener("pointerleave", () => { near.replaceChildren(); readout.replaceChildren(); found = null; });
  svg.addEventListener("click", () => { if (found !== null && !svg.dataset.dragged) location.href = `/runs/${encodeURIComponent(runs[found].id)}`; });
  if (isParallel) brush(figure, svg, axes, runs, lines, kept, brushes);
}

function brush(figure, svg, axes, runs, lines, kept, brushes) {
  const [top, bottom] = [Number(figure.dataset.top), Number(figure.dataset.bottom)];
  const share = (y) => Math.min(1, Math.max(0, (bottom - y) / (bottom - top)));
  const said = figure.querySelector(".said");
  const link = figure.querySelector(".kept");

  const apply = () => {
    runs.forEach((_, at) => {
      kept[at] = [...brushes].every(([axis, [low, high]]) => { const one = axes[axis].share[at]; return one !== null && one >= low && one <= high; });
      lines[at].classList.toggle("off", !kept[at]);
    });
    for (const group of svg.querySelectorAll(".axis")) {
      group.querySelector(".brush")?.remove();
      const range = brushes.get(Number(group.dataset.axis));
      if (!range) continue;
      const reach = group.querySelector(".reach");
      group.append(element("rect", { class: "brush", x: reach.getAttribute("x"), width: reach.getAttribute("width"), y: bottom - range[1] * (bottom - top), height: Math.max(2, (range[1] - range[0]) * (bottom - top)) }));
    }
    const count = kept.filter(Boolean).length;
    said.textContent = brushes.size ? `${count} of ${runs.length} runs kept; a click on an axis frees it.` : "Drag along an axis to keep a part of the runs.";
    tell();
  };

  // The kept runs as a table, where a filter can say what is kept: of metrics.
  const tell = () => {
    const query = new URLSearchParams(location.search);
    for (const key of [...query.keys()]) if (key.startsWith("brush.")) query.delete(key);
    for (const [axis, range] of brushes) query.set(`brush.${axes[axis].text}`, range.map((x) => Math.round(x * 1e4) / 1e4).join("~"));
    const words = query.toString();
    history.replaceState(null, "", `${location.pathname}${words ? `?${words}` : ""}${location.hash}`);
    const named = [...brushes].every(([axis]) => axes[axis].is_number && /^(metrics|min|max|count)\./.test(axes[axis].text));
    link.hidden = !brushes.size || !named;
    if (link.hidden) return;
    const clauses = [query.get("filter")].filter(Boolean);
    for (const [axis, range] of brushes) {
      const { text: name, low, high } = axes[axis];
      const [from, to] = range.map((x) => low + x * (high - low));
      clauses.push(`${name} >= ${from}`, `${name} <= ${to}`);
    }
    const table = new URLSearchParams([...query].filter(([key]) => key !== "tab" && !key.startsWith("brush.")));
    table.set("filter", clauses.join(" AND "));
    link.href = `?${table}`;
  };

  for (const [key, value] of new URLSearchParams(location.search)) {
    const axis = axes.findIndex((one) => `brush.${one.text}` === key);
    const range = value.split("~").map(Number);
    if (axis >= 0 && range.length === 2 && range.every(Number.isFinite)) brushes.set(axis, range);
  }
  for (const group of svg.querySelectorAll(".axis")) {
    const axis = Number(group.dataset.axis);
    group.querySelector(".reach").addEventListener("pointerdown", (event) => {
      const began = share(place(svg, event)[1]);
      svg.setPointerCapture(event.pointerId);
      svg.dataset.dragged = "1";
      const move = (moved) => { const now = share(place(svg, moved)[1]); brushes.set(axis, [Math.min(began, now), Math.max(began, now)]); apply(); };
      svg.addEventListener("pointermove", move);
      svg.addEventListener("pointerup", () => {
        svg.removeEventListener("pointermove", move);
        const range = brushes.get(axis);
        if (!range || range[1] - range[0] < 0.01) brushes.delete(axis);
        apply();
        setTimeout(() => { delete svg.dataset.dragged; });
      }, { once: true });
      event.preventDefault();
    });
  }
  if (brushes.size) apply();
}

function bindAll() {
  for (const figure of document.querySelectorAll("[data-plot]")) if (!bound.has(figure)) { bound.add(figure); bind(figure); }
}

bindAll();
document.addEventListener("holdfast:changed", bindAll);
