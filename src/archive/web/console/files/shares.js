// The list of shares: moments in the time of the browser, uses on demand, and taking back.

const problem = document.getElementById("problem");
const shown = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function say(text) {
  problem.textContent = text;
  problem.hidden = false;
}

for (const time of document.querySelectorAll("time")) time.textContent = shown(time.dateTime);

for (const details of document.querySelectorAll("[data-uses]")) {
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    const list = details.querySelector("ul");
    try {
      const answer = await fetch(details.dataset.uses);
      if (!answer.ok) throw new Error((await answer.text()).trim());
      const uses = await answer.json();
      list.replaceChildren(
        ...(uses.length ? uses.map((one) => `${shown(one.at)}: ${one.what} from ${one.address}`) : ["Not yet."]).map((text) => {
          const item = document.createElement("li");
          item.textContent = text;
          return item;
        }),
      );
    } catch (error) {
      say(error.message || "The archive does not answer.");
    }
  });
}

for (const button of document.querySelectorAll("[data-revoke]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.sure !== "yes") {
      button.dataset.sure = "yes"; // a second press: nobody takes one back by a slip
      button.firstChild.textContent = "Really revoke";
      button.classList.add("main");
      return;
    }
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.revoke, { method: "DELETE" });
      if (answer.ok) {
        location.reload();
        return;
      }
      say((await answer.text()).trim());
    } catch {
      say("The archive does not answer.");
    }
    button.disabled = false;
  });
}
