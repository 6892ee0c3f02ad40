// Opens a share: the secret is the last part of the address, and goes in the body of a request alone.

const base = document.documentElement.dataset.base;
const form = document.getElementById("open-share");
const problem = form.querySelector("[role=alert]");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  problem.hidden = true;
  try {
    const answer = await fetch(`${base}/api/share-session`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        secret: decodeURIComponent(location.pathname.split("/").pop()),
        passcode: form.elements.passcode?.value ?? "",
      }),
    });
    if (answer.ok) {
      location.replace((await answer.json()).viewer);
      return;
    }
    problem.textContent = (await answer.text()).trim() || `The archive answers ${answer.status}.`;
  } catch {
    problem.textContent = "The archive does not answer.";
  }
  problem.hidden = false;
  button.disabled = false;
  form.elements.passcode?.select();
});
