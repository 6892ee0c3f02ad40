// What every page of the console does: signing out.

const base = document.documentElement.dataset.base;

document.querySelector("[data-sign-out]")?.addEventListener("click", async (event) => {
  event.currentTarget.disabled = true;
  try {
    await fetch(`${base}/api/session`, { method: "DELETE" });
  } finally {
    location.assign(`${base}/sign-in?next=${encodeURIComponent(`${base}/`)}`);
  }
});
