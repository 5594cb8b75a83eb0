// Makes <time class="rel"> relative. The absolute time and zone stay in the title, and on paper.
const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const steps = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [86400 * 14, "day", 86400], [86400 * 70, "week", 604800], [86400 * 730, "month", 2629800], [Infinity, "year", 31557600]];

function relative(seconds) {
  const size = Math.abs(seconds);
  if (size < 10) return "just now";
  const [, unit, length] = steps.find(([limit]) => size < limit);
  return format.format(Math.round(seconds / length), unit);
}

function apply() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time.rel")) {
    time.textContent = relative((Date.parse(time.dateTime) - now) / 1000);
  }
}

apply();
setInterval(apply, 15000);
document.addEventListener("holdfast:changed", apply);
addEventListener("beforeprint", () => document.querySelectorAll("time.rel").forEach((time) => { time.textContent = time.title; }));
addEventListener("afterprint", apply);
