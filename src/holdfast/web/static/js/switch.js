// The theme switch: as the system, light, dark. Stored per browser; charts redraw on "holdfast:theme".
const root = document.documentElement;
const button = document.getElementById("theme");
const order = ["system", "light", "dark"];
const words = { system: "as the system", light: "light", dark: "dark" };

const current = () => root.dataset.theme ?? "system";

function label() {
  button.setAttribute("aria-label", `Theme: ${words[current()]}`);
  button.title = `Theme: ${words[current()]}`;
}

function next() {
  const theme = order[(order.indexOf(current()) + 1) % order.length];
  if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("holdfast-theme"); else localStorage.setItem("holdfast-theme", theme);
  } catch { /* storage is off: the choice lasts for this page */ }
  label();
  document.getElementById("announce").textContent = `Theme: ${words[theme]}`;
  document.dispatchEvent(new Event("holdfast:theme"));
}

button.addEventListener("click", next);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("holdfast:theme")));
label();
