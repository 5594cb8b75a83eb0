// Runs before the first paint: the stored theme, and that scripts work at all.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const stored = localStorage.getItem("holdfast-theme");
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  } catch { /* storage is off: the system's theme stays */ }
})();
