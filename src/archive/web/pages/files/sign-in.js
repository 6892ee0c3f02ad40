// Signs in, and goes on to where one came from: an address of this archive, never another.

const base = document.documentElement.dataset.base;
const form = document.getElementById("form");
const problem = document.getElementById("problem");
const enter = document.getElementById("enter");
const password = document.getElementById("password");
const second = document.getElementById("second");
const code = document.getElementById("code");

function onward() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  const there = new URL(wanted || `${base}/`, location.origin);
  const ours = there.origin === location.origin && there.pathname.startsWith(`${base}/`);
  return ours ? there.href : `${base}/`; // whole: a path may begin with two slashes, and would be a host
}

function say(text) {
  problem.textContent = text;
  problem.hidden = false;
  (second.hidden ? password : code).select();
}

// Whoever has a second factor: the password was right, and is sent again with the code.
function askForCode() {
  second.hidden = false;
  code.required = true;
  code.focus();
}

function forgetCode() {
  second.hidden = true;
  code.required = false;
  code.value = "";
}

for (const field of [form.username, password]) field.addEventListener("input", forgetCode);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  enter.disabled = true;
  problem.hidden = true;
  try {
    const answer = await fetch(`${base}/api/session`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: form.username.value, password: password.value, code: code.value }),
    });
    if (answer.ok) {
      location.replace(onward());
      return;
    }
    if (answer.headers.get("WWW-Authenticate")?.includes("insufficient_user_authentication")) {
      askForCode();
      enter.disabled = false;
      return;
    }
    say((await answer.text()).trim() || `The archive answers ${answer.status}.`);
  } catch {
    say("The archive does not answer.");
  }
  enter.disabled = false;
});
