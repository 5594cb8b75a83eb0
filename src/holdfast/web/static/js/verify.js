// The audit page's verify button: asks the server to check the whole log and shows the result where it stands.
function damage(found) {
  const named = found.slice(0, 5).map(({ index, problem }) => (index < 0 ? problem : `entry ${index}: ${problem}`));
  const more = found.length > named.length ? ` And ${(found.length - named.length).toLocaleString("en")} more.` : "";
  return `The log is damaged. ${named.join("; ")}.${more} Compare it with a backup before you trust it.`;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-verify]");
  if (!button) return;
  event.preventDefault();
  const result = document.getElementById("verified");
  const say = (kind, text) => {
    result.hidden = false;
    result.className = `note ${kind}`;
    result.querySelector("p").textContent = text;
    for (const icon of result.querySelectorAll("[data-kind]")) icon.hidden = icon.dataset.kind !== kind;
  };
  button.setAttribute("aria-busy", "true");
  say("busy", "Checking every entry…");
  const began = performance.now();
  try {
    const answer = await fetch(button.dataset.verify, { headers: { Accept: "application/json" } });
    const got = await answer.json();
    if (!answer.ok) throw new Error(got.error ? `${got.error.message} ${got.error.hint ?? ""}` : `The server answered ${answer.status}.`);
    const took = Math.round(performance.now() - began);
    if (got.ok) say("ok", `All ${got.size.toLocaleString("en")} entries are as they were written. Root ${got.root}. Checked in ${took} ms.`);
    else say("harm", damage(got.damaged));
  } catch (error) {
    say("harm", `The log could not be checked: ${error.message}`);
  } finally {
    button.removeAttribute("aria-busy");
  }
});
