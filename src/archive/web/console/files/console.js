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

// What a search has found is said aloud, as the part of the page that changes is not read out by itself.
document.addEventListener("htmx:afterSettle", () => {
  const said = document.getElementById("said");
  const found = document.querySelector("[data-said]");
  if (said && found) said.textContent = found.dataset.said;
});
for (const failed of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(failed, (event) => {
    const said = document.getElementById("said");
    if (said) said.textContent = event.detail.xhr?.responseText?.trim() || "The archive does not answer.";
  });
}
