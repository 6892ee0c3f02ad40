// The dialog that shares studies: makes a link, and shows it once.

const dialog = document.getElementById("share");
const form = dialog?.querySelector("form");
const made = dialog?.querySelector(".made");
const retained = dialog?.querySelector("[data-share-retained]");
const left = dialog?.querySelector("[data-share-left]");

function wanted() {
  const said = form.elements;
  const body = {
    studies: form.dataset.studies.split(" "),
    recipient: said.recipient.value,
    purpose: said.purpose.value,
    days: Number(said.days.value),
    uses: Number(said.uses.value),
    download: said.download.checked,
  };
  if (said.deidentified.checked) {
    body.deidentified = true;
    body.retained = [...retained.querySelectorAll("input:checked")].map((one) => one.value);
  }
  return said.passcode.value ? { ...body, passcode: said.passcode.value } : body;
}

async function make(event) {
  event.preventDefault();
  const problem = form.querySelector("[role=alert]");
  const button = form.querySelector("button");
  problem.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.share, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wanted()),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const share = await answer.json();
    made.querySelector("input").value = share.link;
    tell(share.left_out);
    form.hidden = true;
    made.hidden = false;
    made.querySelector("h2").focus();
  } catch (error) {
    problem.textContent = error.message || "The archive does not answer.";
    problem.hidden = false;
  }
  button.disabled = false;
}

function tell(series) {
  const lines = series.map((one) => {
    const line = document.createElement("li");
    line.textContent = `${one.objects} × ${one.modality || "object"}: ${one.reason}`;
    return line;
  });
  left.querySelector("ul").replaceChildren(...lines);
  left.hidden = !lines.length;
}

function choose() {
  retained.hidden = retained.disabled = !form.elements.deidentified.checked;
}

async function copy() {
  const field = made.querySelector("input");
  const status = made.querySelector("[role=status]");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    status.textContent = "Copied.";
  } catch {
    status.textContent = "Copy it with Ctrl+C: the browser lets no page do that here.";
  }
}

function forget() {
  form.reset();
  choose();
  form.hidden = false;
  form.querySelector("[role=alert]").hidden = true;
  made.hidden = true;
  made.querySelector("input").value = "";
  made.querySelector("[role=status]").textContent = "";
}

if (dialog) {
  document.querySelector("[data-share-opens]")?.addEventListener("click", () => dialog.showModal());
  for (const button of dialog.querySelectorAll("[data-share-closes]")) button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", forget);
  form.addEventListener("submit", make);
  form.elements.deidentified.addEventListener("change", choose);
  made.querySelector("[data-share-copies]").addEventListener("click", copy);
}
