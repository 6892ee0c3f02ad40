// The page of a study: its dialogs, placing a hold, and deleting it.

const base = document.documentElement.dataset.base;

for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.addEventListener("click", () => document.getElementById(opener.dataset.opens).showModal());
}
for (const closer of document.querySelectorAll("[data-closes]")) {
  closer.addEventListener("click", () => closer.closest("dialog").close());
}

// With a reason it leaves a certificate; what waits for a second person's approval is answered with 202.
function remove() {
  const reason = form.querySelector("#reason").value.trim();
  if (!reason) return fetch(form.dataset.delete, { method: "DELETE" });
  return fetch(`${base}/api/deletions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ StudyInstanceUID: form.dataset.study, reason }),
  });
}

const holding = document.querySelector("form[data-hold]");
holding?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = holding.querySelector("[role=alert]");
  const button = holding.querySelector("button.main");
  const { study, patient, issuer } = holding.dataset;
  const ofPatient = holding.querySelector("[name=on]:checked").value === "patient";
  const on = ofPatient ? { PatientID: patient, IssuerOfPatientID: issuer } : { StudyInstanceUID: study };
  problem.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(holding.dataset.hold, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...on, reason: holding.querySelector("[name=reason]").value }),
    });
    if (answer.ok) {
      location.reload();
      return;
    }
    problem.textContent = (await answer.text()).trim() || `The archive answers ${answer.status}.`;
  } catch {
    problem.textContent = "The archive does not answer.";
  }
  problem.hidden = false;
  button.disabled = false;
});

const form = document.querySelector("form[data-delete]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = form.querySelector("[role=alert]");
  const button = form.querySelector("button.danger");
  problem.hidden = true;
  button.disabled = true;
  try {
    const answer = await remove();
    if (answer.status === 202) {
      problem.textContent = "Nothing is deleted yet: it waits until a second person has approved.";
      problem.hidden = false;
      return;
    }
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
