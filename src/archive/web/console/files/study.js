// The page of a study: its dialogs, and deleting it.

const base = document.documentElement.dataset.base;

for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.addEventListener("click", () => document.getElementById(opener.dataset.opens).showModal());
}
for (const closer of document.querySelectorAll("[data-closes]")) {
  closer.addEventListener("click", () => closer.closest("dialog").close());
}

const form = document.querySelector("form[data-delete]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = form.querySelector("[role=alert]");
  const button = form.querySelector("button.danger");
  problem.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.delete, { method: "DELETE" });
    if (answer.ok || answer.status === 410) {
      location.replace(`${base}/`);
      return;
    }
    problem.textContent = (await answer.text()).trim() || `The archive answers ${answer.status}.`;
  } catch {
    problem.textContent = "The archive does not answer.";
  }
  problem.hidden = false;
  button.disabled = false;
});
