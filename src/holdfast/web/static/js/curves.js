// Curves of runs: asked of the server at the detail that the screen can show, put on one axis, smoothed where that is
// asked for. How they are shown is in the address: smooth, axes. `chart.js` draws them.
export function asked() {
  const query = new URLSearchParams(location.search);
  const smooth = Number(query.get("smooth"));
  const axes = (query.get("axes") ?? "").split(",");
  return { smooth: smooth > 0 && smooth < 1 ? smooth : 0, logY: axes.includes("logy"), logX: axes.includes("logx") };
}

export async function load(chart, range, width) {
  const address = new URL(chart.curves, location.href);
  address.searchParams.set("points", Math.max(100, Math.min(2000, Math.round(width))));
  if (range) { address.searchParams.set("start", range[0]); address.searchParams.set("end", range[1]); }
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return join(chart, (await answer.json()).curves, asked());
}

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

// Each x once; where a run has no point it has no value (undefined, which lines pass), where it has NaN a gap (null).
function join(chart, curves, { smooth, logY, logX }) {
  const shown = (y) => (y === null || (logY && y <= 0) ? null : y);
  const places = new Map();
  for (const curve of curves) for (const x of curve.x) if (!logX || x > 0) places.set(x, 0);
  const xs = [...places.keys()].sort((one, other) => one - other);
  xs.forEach((x, at) => places.set(x, at));
  const series = [];
  for (const curve of curves) {
    const head = chart.series.find((one) => one.id === curve.run_id);
    if (!head) continue;
    const values = curve.y.map(number);
    const spread = (list) => {
      const filled = new Array(xs.length);
      curve.x.forEach((x, at) => { if (places.has(x)) filled[places.get(x)] = shown(list[at]); });
      return filled;
    };
    const [low, high] = [curve.low.map(number), curve.high.map(number)];
    const isBand = low.some((value, at) => value !== null && high[at] > value);
    series.push({
      ...head, y: spread(smooth ? smoothed(values, smooth) : values), weak: [], dots: curve.x.length < 40 && curves.length < 4,
      low: isBand ? spread(low) : [], high: isBand ? spread(high) : [], raw: smooth ? spread(values) : [],
    });
  }
  return { ...chart, x: xs, series, logX, logY, lost: logX || logY };
}

// The exponential moving average, free of its bias to 0 at the start.
export function smoothed(values, weight) {
  let sum = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + (1 - weight) * value;
    count += 1;
    return sum / (1 - weight ** count);
  });
}

// The controls that only a script can follow; `changed` is called after each change.
export function bind(changed) {
  const controls = document.getElementById("curve-controls");
  if (!controls || controls.dataset.bound) return;
  controls.dataset.bound = "1";
  const now = asked();
  const [smooth, logX, logY] = ["smooth", "logx", "logy"].map((name) => controls.querySelector(`[data-of=${name}]`));
  [smooth.value, logX.checked, logY.checked] = [now.smooth, now.logX, now.logY];
  const keep = () => {
    const query = new URLSearchParams(location.search);
    const axes = [logX.checked && "logx", logY.checked && "logy"].filter(Boolean).join(",");
    put(query, "smooth", Number(smooth.value) ? smooth.value : "");
    put(query, "axes", axes);
    const text = query.toString();
    history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
    controls.querySelector("output").textContent = Number(smooth.value) ? smooth.value : "off";
    changed();
  };
  // In the address, and in the form that asks for another axis.
  const put = (query, name, value) => {
    if (value) query.set(name, value); else query.delete(name);
    const form = controls.querySelector("form");
    form.querySelector(`input[type=hidden][name=${name}]`)?.remove();
    if (value) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  };
  controls.querySelector("output").textContent = now.smooth || "off";
  for (const one of [smooth, logX, logY]) one.addEventListener("change", keep);
  smooth.addEventListener("input", () => { controls.querySelector("output").textContent = smooth.value; });
}
