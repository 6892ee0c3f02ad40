// Sets up a second factor: the secret and the recovery codes are on the page until it is left, and nowhere else.

const base = document.documentElement.dataset.base;
const begin = document.getElementById("factor-begin");
const confirm = document.getElementById("factor-confirm");
const codes = document.getElementById("factor-codes");
const problem = document.getElementById("factor-problem");

function say(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

function asks(form, path, then) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    say("");
    try {
      const answer = await fetch(`${base}/api/session/second-factor${path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(Object.fromEntries(new FormData(form))),
      });
      if (answer.ok) then(await answer.json());
      else say((await answer.text()).trim() || `The archive answered ${answer.status}.`);
    } catch {
      say("The archive does not answer.");
    } finally {
      button.disabled = false;
    }
  });
}

asks(begin, "", (made) => {
  begin.reset();
  begin.hidden = true;
  // As a picture, which runs nothing and is no part of the page.
  document.getElementById("factor-picture").src = `data:image/svg+xml,${encodeURIComponent(made.picture)}`;
  document.getElementById("factor-secret").textContent = made.secret.replace(/.{4}(?=.)/g, "$& ");
  confirm.hidden = false;
  confirm.elements.code.focus();
});

asks(confirm, "/confirmation", (made) => {
  confirm.remove();
  const list = codes.querySelector("ul");
  for (const code of made.recovery_codes) {
    const line = document.createElement("li");
    line.textContent = code;
    list.append(line);
  }
  codes.hidden = false;
  list.focus();
});
