// An open page follows its data: the page is fetched again now and then while it is visible, and every part marked
// data-live whose markup changed is replaced. What has the focus, a selection or an open fold stays as it is.
const main = document.getElementById("main");
const period = Number(main.dataset.refresh ?? 0) * 1000;
const seen = new Map();
let failures = 0;

const parts = (root) => new Map([...root.querySelectorAll("[data-live][id]")].map((part) => [part.id, part]));

async function fetchPage() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

const isTyped = (part) => [...part.querySelectorAll("textarea")].some((area) => area.value !== area.defaultValue)
  || [...part.querySelectorAll("input[type=checkbox]")].some((box) => box.checked !== box.defaultChecked);
const isHeld = (part) => part.contains(document.activeElement) || part.querySelector("details[open]") !== null || isTyped(part)
  || (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));

function swap(old, fresh) {
  const spoken = old.id === "answer" && old.textContent.trim() !== fresh.textContent.trim();
  const adopted = document.adoptNode(fresh);
  old.replaceWith(adopted);
  if (spoken) document.getElementById("announce").textContent = adopted.textContent.trim();
}

function update(page) {
  const fresh = parts(page);
  const shown = parts(document);
  const isOtherShape = fresh.size !== shown.size || [...fresh.keys()].some((id) => !shown.has(id));
  if (isOtherShape && !isHeld(main)) {
    main.replaceChildren(...document.adoptNode(page.getElementById("main")).childNodes);
    remember(document);
  } else {
    for (const [id, part] of fresh) {
      const old = shown.get(id);
      const text = part.outerHTML;
      if (!old || seen.get(id) === text || isHeld(old)) continue;
      seen.set(id, text);
      swap(old, part);
    }
  }
  sendable(page);
  document.dispatchEvent(new Event("holdfast:changed"));
}

// The forms that stay as they were can still be sent after the browser got another secret, by signing in elsewhere.
function sendable(page) {
  const token = page.querySelector("input[name=csrf]")?.value;
  if (token) for (const field of document.querySelectorAll("input[name=csrf]")) field.value = token;
}

function remember(root) {
  for (const [id, part] of parts(root)) seen.set(id, part.outerHTML);
}

async function tick() {
  if (document.visibilityState === "visible" && !document.querySelector("dialog[open]")) {
    try {
      update(await fetchPage());
      failures = 0;
    } catch {
      failures += 1;
    }
  }
  setTimeout(tick, period * Math.min(8, 2 ** failures));
}

if (period) {
  remember(document); // this module runs before those that change what is shown
  setTimeout(tick, period);
}
