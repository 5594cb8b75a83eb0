// Following a notification marks it as read.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-read]");
  if (!link) return;
  const body = JSON.stringify({ events: [Number(link.dataset.read)] });
  fetch("/api/v1/inbox/read", { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true }).catch(() => {});
});
