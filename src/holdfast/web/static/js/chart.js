// Makes the server's still charts live with uPlot: a readout under the cursor, zoom by dragging (double click resets),
// and curves of runs fetched at the detail of what is shown (see `curves.js`). The zoom is kept in the address.
const drawn = new Map();
let library = null;
let curves = null;

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function ink(token) {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

const soft = (colour, alpha) => colour.replace(/^rgba?\(([^)]+)\)$/, (_, parts) => `rgba(${parts.split(",").slice(0, 3).join(",")}, ${alpha})`);

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e9) return value.toExponential(2);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(value);
}

function valueText(value, unit) {
  if (value === null || value === undefined) return "no value";
  if (unit === "share") return `${(value * 100).toFixed(1)}\u00a0%`;
  if (unit === "latency") return value < 1000 ? `${short(value)} µs` : `${short(value / 1000)} ms`;
  return short(value);
}

function timeText(ms) {
  const t = new Date(ms);
  const day = `${t.getUTCDate()} ${months[t.getUTCMonth()]} ${t.getUTCFullYear()}`;
  const clock = t.toISOString().slice(11, 16);
  return clock === "00:00" ? day : `${day}, ${clock} UTC`;
}

function timeTicks(plot, values, axis, space, step) {
  return values.map((s, i) => {
    const t = new Date(s * 1000);
    const month = months[t.getUTCMonth()];
    if (step >= 28 * 86400) return i === 0 || t.getUTCMonth() === 0 ? `${month} ${t.getUTCFullYear()}` : month;
    const atMidnight = t.getUTCHours() === 0 && t.getUTCMinutes() === 0;
    return atMidnight ? `${t.getUTCDate()} ${month}` : t.toISOString().slice(11, 16);
  });
}

// What has no value at an x of other lines stays undefined: lines pass it, and stop at null.
const finite = (value) => (value === undefined || (typeof value === "number" && Number.isFinite(value)) ? value : null);
const scaled = (chart) => (chart.is_time ? 1000 : 1);

function columns(chart) {
  const data = [chart.x.map((x) => x / scaled(chart))];
  for (const series of chart.series) {
    data.push(series.y.map(finite));
    if (series.low.length) data.push(series.low.map(finite), series.high.map(finite));
    if (series.raw?.length) data.push(series.raw.map(finite));
  }
  return data;
}

function lines(chart) {
  const series = [{}];
  const bands = [];
  for (const one of chart.series) {
    const stroke = ink(`--series-${one.colour}`);
    const weak = one.weak;
    series.push({
      label: one.label, stroke, width: 2, dash: one.dashed ? [5, 4] : undefined, spanGaps: false,
      points: one.dots || weak.some(Boolean) || one.y.length === 1 ? { show: true, size: 6, fill: stroke, stroke } : { show: false },
    });
    if (one.low.length) {
      series.push({ show: true, width: 0, points: { show: false }, aside: true }, { show: true, width: 0, points: { show: false }, aside: true });
      bands.push({ series: [series.length - 1, series.length - 2], fill: soft(stroke, chart.series.length > 4 ? 0.08 : 0.16) });
    }
    if (one.raw?.length) series.push({ stroke: soft(stroke, 0.28), width: 1, points: { show: false } });
  }
  return { series, bands };
}

function paintUnder(plot, chart) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const span of chart.spans) {
    const from = plot.valToPos(span.start / scaled(chart), "x", true);
    const to = plot.valToPos(span.end / scaled(chart), "x", true);
    ctx.fillStyle = soft(ink("--harm"), 0.08);
    ctx.fillRect(from, bbox.top, Math.max(2, to - from), bbox.height);
  }
  if (chart.level) {
    if (chart.level.low !== null && chart.level.high !== null) {
      const top = plot.valToPos(chart.level.high, "y", true);
      ctx.fillStyle = ink("--reference-soft");
      ctx.fillRect(bbox.left, top, bbox.width, plot.valToPos(chart.level.low, "y", true) - top);
    }
    const y = plot.valToPos(chart.level.y, "y", true);
    stroke(ctx, ink("--reference"), [5, 4], bbox.left, y, bbox.left + bbox.width, y);
  }
  ctx.restore();
}

function stroke(ctx, colour, dash, x1, y1, x2, y2) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio * 1.25;
  ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
  ctx.setLineDash([]);
}

function paintMarks(plot, chart) {
  const { ctx, bbox } = plot;
  const px = devicePixelRatio;
  ctx.save();
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = `600 ${11 * px}px ${getComputedStyle(document.body).fontFamily}`;
  const edge = bbox.left + bbox.width;
  const marks = chart.marks.map((mark) => ({ ...mark, at: plot.valToPos(mark.x / scaled(chart), "x", true) }))
    .filter((mark) => mark.at > bbox.left - 1 && mark.at < edge + 1).sort((one, other) => one.at - other.at);
  let free = -Infinity;
  marks.forEach((mark, i) => {
    const colour = ink(mark.kind === "alert" ? "--harm" : "--muted");
    const x = mark.at;
    stroke(ctx, colour, mark.kind === "alert" ? [] : [2, 3], x, bbox.top - 4 * px, x, bbox.top + bbox.height);
    ctx.fillStyle = colour;
    ctx.beginPath();
    if (mark.kind === "alert") {
      ctx.moveTo(x, bbox.top - 2 * px); ctx.lineTo(x - 5 * px, bbox.top - 11 * px); ctx.lineTo(x + 5 * px, bbox.top - 11 * px);
    } else {
      ctx.rect(x - 3.5 * px, bbox.top - 10 * px, 7 * px, 7 * px);
    }
    ctx.fill();
    const reach = ctx.measureText(mark.text).width + 16 * px;
    const after = i + 1 < marks.length ? marks[i + 1].at : edge + 12 * px;
    if (x + reach <= after) { ctx.fillText(mark.text, x + 9 * px, bbox.top - 3 * px); free = x + reach; }
    else if (x - reach >= free) { ctx.fillText(mark.text, x - reach + 7 * px, bbox.top - 3 * px); free = x + 6 * px; }
    else free = Math.max(free, x + 6 * px);
  });
  ctx.restore();
}

function say(plot, chart, readout) {
  const at = plot.cursor.idx;
  if (at === null || at === undefined) { readout.textContent = ""; return; }
  const x = plot.data[0][at] * scaled(chart);
  const mark = chart.marks.filter((m) => Math.abs(plot.valToPos(m.x / scaled(chart), "x") - plot.cursor.left) < 6).map((m) => m.text);
  readout.replaceChildren(Object.assign(document.createElement("b"), { textContent: chart.names[at] ?? (chart.is_time ? timeText(x) : `${chart.x_label || "step"} ${short(x)}`) }));
  let column = 1;
  const parts = [];
  for (const series of chart.series) {
    const value = before(plot.data[column], at);
    let text = `${series.label} ${valueText(value, chart.unit)}`;
    if (series.low.length) {
      const [low, high] = [before(plot.data[column + 1], at), before(plot.data[column + 2], at)];
      if (low !== null && high !== null && low !== high) text += ` (${valueText(low, chart.unit)} – ${valueText(high, chart.unit)})`;
      column += 2;
    }
    if (series.raw?.length) column += 1;
    column += 1;
    if (value !== undefined) parts.push({ text, away: value === null ? Infinity : Math.abs(plot.valToPos(value, "y") - plot.cursor.top) });
  }
  // Of many lines, those nearest to the cursor.
  if (parts.length > 5) parts.sort((one, other) => one.away - other.away);
  const left = parts.length > 5 ? [`${parts.length - 3} more`] : [];
  readout.append(` · ${[...parts.slice(0, parts.length > 5 ? 3 : 5).map((part) => part.text), ...left, ...mark].join(" · ")}`);
}

// The value at a place or, where a line has none there, the last one before it.
function before(values, at) {
  for (let back = at; back >= 0; back -= 1) if (values[back] !== undefined) return values[back];
  return undefined;
}

function zoomOf(id) {
  const part = new URLSearchParams(location.search).get(`zoom.${id}`);
  const range = part?.split("~").map(Number);
  return range?.length === 2 && range.every(Number.isFinite) ? range : null;
}

function keepZoom(id, range) {
  const query = new URLSearchParams(location.search);
  if (range) query.set(`zoom.${id}`, range.map((x) => Math.round(x * 1000) / 1000).join("~")); else query.delete(`zoom.${id}`);
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
}

function options(chart, holder, readout, onZoom) {
  const { series, bands } = lines(chart);
  const axis = { stroke: ink("--faint"), font: `11px ${getComputedStyle(document.body).fontFamily}`, grid: { stroke: ink("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(240, holder.clientWidth), height: 260, padding: [chart.marks.length ? 22 : 10, 16, 0, 0], legend: { show: false }, series, bands,
    tzDate: (s) => new Date(s * 1000),
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, uni: 8 } },
    scales: {
      x: { time: chart.is_time, distr: chart.logX ? 3 : 1 },
      y: { distr: chart.logY ? 3 : 1, range: (plot, low, high) => (chart.logY ? logRange(low, high) : yRange(chart, low, high)) },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 64, values: chart.is_time ? timeTicks : undefined },
      { ...axis, size: 52, space: 44, values: (plot, ticks) => ticks.map((v) => (v === null ? "" : tickText(v, chart.unit, ticks))) },
    ],
    hooks: {
      drawAxes: [(plot) => paintUnder(plot, chart)],
      draw: [(plot) => paintMarks(plot, chart)],
      setCursor: [(plot) => say(plot, chart, readout)],
      setSelect: [(plot) => {
        if (plot.select.width < 8) return;
        const from = plot.posToVal(plot.select.left, "x") * scaled(chart);
        const to = plot.posToVal(plot.select.left + plot.select.width, "x") * scaled(chart);
        onZoom([from, to]);
      }],
    },
  };
}

// Whole powers of ten around positive values.
function logRange(low, high) {
  if (!(high > 0)) return [0.1, 1];
  const bottom = 10 ** Math.floor(Math.log10(low > 0 ? low : high));
  const top = 10 ** Math.ceil(Math.log10(high));
  return [bottom, top > bottom ? top : bottom * 10];
}

function tickText(value, unit, ticks) {
  if (unit === "share") return `${(value * 100).toFixed(ticks.length > 1 && ticks[1] - ticks[0] < 0.00999 ? 1 : 0)}\u00a0%`;
  return unit === "latency" && value === 0 ? "0" : valueText(value, unit);
}

function yRange(chart, low, high) {
  const all = [low, high];
  if (chart.level) all.push(chart.level.y, chart.level.low ?? chart.level.y, chart.level.high ?? chart.level.y);
  if (chart.from_zero) all.push(0);
  const known = all.filter((v) => v !== null && Number.isFinite(v));
  if (known.length === 0) return [0, 1];
  const [bottom, top] = [Math.min(...known), Math.max(...known)];
  const pad = (top - bottom) * 0.08 || Math.abs(top) * 0.1 || 1;
  return [chart.from_zero && bottom === 0 ? 0 : bottom - pad, top + pad];
}

async function draw(figure) {
  const holder = figure.querySelector(".live");
  const chart = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  if (chart.x.length === 0 && !chart.curves) return;
  drawn.set(figure, drawn.get(figure)); // under way
  library ??= import(document.getElementById("uplot").href);
  if (chart.curves) curves ??= import(document.getElementById("curves").href);
  const [{ default: UPlot }, of] = await Promise.all([library, chart.curves ? curves : null]);
  of?.bind(() => drawCurves());
  const readout = figure.querySelector(".readout") ?? Object.assign(document.createElement("p"), { className: "readout" });
  figure.querySelector(".over").append(readout);
  const show = async (range) => {
    const shown = of ? await of.load(chart, range, (figure.clientWidth || 600) * devicePixelRatio) : chart;
    figure.classList.add("drawn");
    drawn.get(figure)?.destroy();
    const plot = new UPlot(options(shown, holder, readout, (next) => { keepZoom(chart.id, next); show(next); }), columns(shown), holder);
    drawn.set(figure, plot);
    if (range) plot.setScale("x", { min: range[0] / scaled(chart), max: range[1] / scaled(chart) });
    plot.over.addEventListener("dblclick", () => { keepZoom(chart.id, null); show(null); });
    resize.observe(holder);
  };
  try {
    await show(zoomOf(chart.id));
    figure.dataset.ready = "1";
  } catch {
    drawn.delete(figure); // the still drawing stays, and the next look at the data tries again
  }
}

const resize = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const plot = drawn.get(target.closest("[data-chart]"));
    const width = Math.max(240, target.clientWidth);
    if (plot && target.clientWidth && Math.abs(plot.width - width) > 1) plot.setSize({ width, height: plot.height });
  }
});

function drawAll(isForced) {
  for (const figure of drawn.keys()) if (!figure.isConnected) { drawn.get(figure)?.destroy(); drawn.delete(figure); }
  for (const figure of document.querySelectorAll("[data-chart]")) if (isForced || !drawn.has(figure)) draw(figure);
}

function drawCurves() {
  for (const figure of drawn.keys()) if (figure.isConnected && figure.hasAttribute("data-curves")) draw(figure);
}

drawAll(false);
document.addEventListener("holdfast:changed", () => drawAll(false));
document.addEventListener("holdfast:theme", () => drawAll(true));
