// Forms and buttons that change something: they ask the API, and say what it answers.

import { see } from "./views.js";

const base = document.documentElement.dataset.base;
const said = document.getElementById("outcome");

function tell(text, wrong) {
  if (!said) return;
  said.textContent = text;
  said.className = wrong ? "problem" : "done";
  said.scrollIntoView({ block: "nearest" });
}

async function ask(method, path, body) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  return fetch(`${base}${path}`, request);
}

async function sentence(answer) {
  return (await answer.text()).trim() || `The archive answered ${answer.status}.`;
}

// A line a value: "" is an empty one, \xNN a byte that cannot be typed.
function lines(text) {
  const values = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const byte = (_, digits) => String.fromCharCode(parseInt(digits, 16));
  return values.map((value) => (value === '""' ? "" : value.replace(/\\x([0-9a-f]{2})/gi, byte)));
}

// The fields of a form as JSON. A group of checkboxes is a list; a number is one; an empty password is none. What is a
// rule is in an object of its own.
function fields(form) {
  const made = {};
  for (const field of form.elements) {
    if (!field.name || field.type === "radio" || field.dataset.inPath !== undefined || field.disabled) continue;
    const into = field.dataset.rule === undefined ? made : (made.rules ??= {});
    if (field.type === "checkbox" && field.dataset.list !== undefined) {
      into[field.name] ??= [];
      if (field.checked) into[field.name].push(field.value);
    } else if (field.type === "checkbox") into[field.name] = field.checked;
    else if (field.type === "number") into[field.name] = Number(field.value);
    else if (field.dataset.lines !== undefined) into[field.name] = lines(field.value);
    else if (field.type !== "password" || field.value) into[field.name] = field.value;
  }
  return made;
}

function pathOf(form) {
  const field = form.querySelector("[data-in-path]");
  return form.dataset.path + (field ? `/${encodeURIComponent(field.value.trim())}` : "");
}

async function send(form) {
  const path = pathOf(form);
  const body = fields(form);
  if (form.dataset.keeps) {
    const { value, name } = form.querySelector("[data-in-path]");
    const known = await ask("GET", form.dataset.path);
    const one = known.ok && (await known.json()).find((each) => each[name] === value.trim());
    if (one) body[form.dataset.keeps] = one[form.dataset.keeps];
  }
  see(form, body);
  const answer = await ask(form.dataset.method, path, body);
  if (!answer.ok) return tell(await sentence(answer), true);
  if (form.dataset.secret !== undefined) return show(await answer.json());
  location.assign(form.dataset.then ? `${base}${form.dataset.then}` : location.pathname);
}

function show(made) {
  const place = document.getElementById("secret");
  place.hidden = false;
  place.querySelector("output").textContent = made.secret;
  place.querySelector("output").focus();
}

for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      await send(form);
    } catch {
      tell("The archive does not answer.", true);
    } finally {
      button.disabled = false;
    }
  });
}

for (const button of document.querySelectorAll("button[data-method]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.sure && button.dataset.asked === undefined) {
      button.dataset.asked = "";
      button.textContent = button.dataset.sure;
      return;
    }
    button.disabled = true;
    try {
      const body = button.dataset.body ? JSON.parse(button.dataset.body) : undefined;
      const answer = await ask(button.dataset.method, button.dataset.path, body);
      if (answer.ok) location.assign(button.dataset.then ? `${base}${button.dataset.then}` : location.href);
      else tell(await sentence(answer), true);
    } catch {
      tell("The archive does not answer.", true);
    } finally {
      button.disabled = false;
    }
  });
}

for (const button of document.querySelectorAll("button[data-echo]")) {
  const place = document.getElementById(button.getAttribute("aria-describedby"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    place.textContent = "Asking …";
    place.className = "echo";
    try {
      const answer = await ask("POST", button.dataset.echo);
      const found = answer.ok ? await answer.json() : { ok: false, step: "", reason: await sentence(answer) };
      place.textContent = found.ok
        ? `Answered in ${found.milliseconds} ms.`
        : `${found.step ? `Failed at ${found.step.replaceAll("_", " ")}: ` : ""}${found.reason}`;
      place.className = found.ok ? "echo badge good" : "echo problem";
    } catch {
      place.textContent = "The archive does not answer.";
      place.className = "echo problem";
    } finally {
      button.disabled = false;
    }
  });
}

for (const button of document.querySelectorAll("button[data-fills]")) {
  button.addEventListener("click", () => {
    const form = document.getElementById(button.dataset.fills);
    for (const name of ["title", "host", "port"]) {
      if (button.dataset[name] !== undefined) form.elements[name].value = button.dataset[name];
    }
    form.elements.title.focus();
    form.scrollIntoView({ block: "center" });
  });
}
