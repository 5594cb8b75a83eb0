// Copy buttons: the text to copy stands in data-copy.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = document.getElementById("announce");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("copied");
    said.textContent = "Copied";
    setTimeout(() => button.classList.remove("copied"), 1600);
  } catch {
    said.textContent = "The browser did not allow copying; select the text instead.";
    button.title = said.textContent;
  }
});
