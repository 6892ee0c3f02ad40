// Sends files by STOW-RS, each in a request of its own, so that what is said of it is certain; a few at a time.

import { filesOf } from "./dropped.js";
import { outcome, send } from "./stow.js";

const base = document.documentElement.dataset.base;
const $ = (id) => document.getElementById(id);
const AT_A_TIME = 3;
const MOST_LISTED = 500;
const WORDS = { waiting: "Waiting", sending: "Sending", stored: "Stored", remark: "Stored", aside: "Kept aside", refused: "Refused", failed: "Not sent", skipped: "Left out" };
const GOOD = new Set(["stored", "remark", "aside", "skipped"]);
const LEFT_OUT = /^(\.|desktop\.ini$|thumbs\.db$|dicomdir$|autorun\.)/i;

const jobs = [];
const studies = new Set();
let running = 0;
let stopped = false;

for (const button of document.querySelectorAll("[data-picks]")) {
  const input = $(button.dataset.picks);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = "";
  });
}

const drop = $("drop");
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop" || !event.relatedTarget) drop.classList.remove("over");
  });
}
document.addEventListener("drop", async (event) => {
  const found = filesOf(event.dataTransfer); // at once: what was dropped is gone after this turn
  try {
    add(await found);
  } catch {
    problem("Some of what was dropped could not be read.");
  }
});

$("again").addEventListener("click", () => {
  stopped = false;
  for (const job of jobs) if (["refused", "failed"].includes(job.state)) set(job, "waiting");
  go();
});
$("stop").addEventListener("click", () => {
  stopped = true;
  for (const job of jobs) {
    if (job.state === "waiting") set(job, "failed", "stopped");
    job.abort?.();
  }
  show();
});
addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault();
});

function add(files) {
  if (!files.length) return;
  stopped = false;
  for (const file of files) {
    const job = { file, name: file.path || file.webkitRelativePath || file.name, state: "waiting", sent: 0, said: "" };
    jobs.push(job);
    if (jobs.length <= MOST_LISTED) list(job);
    if (LEFT_OUT.test(file.name)) set(job, "skipped", "no image");
  }
  problem("");
  go();
}

function go() {
  $("going").hidden = false;
  while (running < AT_A_TIME && !stopped) {
    const job = jobs.find((one) => one.state === "waiting");
    if (!job) break;
    running += 1;
    one(job).finally(() => {
      running -= 1;
      go();
    });
  }
  show();
}

async function one(job) {
  set(job, "sending");
  const sending = send(`${base}/dicom-web/studies`, job.file, (sent) => {
    job.sent = sent;
    show();
    paint(job);
  });
  job.abort = sending.abort;
  const said = outcome(await sending.answered);
  job.abort = undefined;
  if (said.signIn) {
    stopped = true;
    problem("You are signed out. Sign in again in another tab, then try again.");
  }
  if (said.study) studies.add(said.study);
  set(job, said.state, said.text);
}

function set(job, state, said = "") {
  Object.assign(job, { state, said, sent: state === "sending" || state === "waiting" ? 0 : job.file.size });
  if (!job.row && ["refused", "failed"].includes(state)) list(job);
  paint(job);
}

function list(job) {
  const row = document.createElement("li");
  const make = (name, kind) => Object.assign(row.appendChild(document.createElement(name)), { className: kind });
  make("bdi", "name").textContent = job.name;
  make("span", "badge");
  make("progress", "").setAttribute("aria-label", `Sending ${job.name}`);
  make("span", "said faint");
  job.row = row;
  $("each").append(row);
  paint(job);
}

function paint(job) {
  if (!job.row) return;
  const [, badge, progress, said] = job.row.children;
  badge.textContent = WORDS[job.state];
  badge.className = `badge ${{ stored: "good", remark: "good", aside: "warn", refused: "wrong", failed: "wrong", sending: "mark" }[job.state] ?? ""}`;
  progress.hidden = job.state !== "sending";
  progress.max = Math.max(1, job.file.size);
  progress.value = job.sent;
  said.textContent = job.said;
}

let painted = 0;
function show() {
  if (!painted) painted = requestAnimationFrame(sum);
}

function sum() {
  painted = 0;
  const count = (...states) => jobs.filter((job) => states.includes(job.state)).length;
  const total = jobs.reduce((bytes, job) => bytes + job.file.size, 0);
  $("whole").max = Math.max(1, total);
  $("whole").value = total ? jobs.reduce((bytes, job) => bytes + job.sent, 0) : 1;
  const left = count("waiting", "sending");
  const parts = [`${count("stored", "remark")} stored`];
  for (const [state, word] of [["aside", "kept aside"], ["refused", "refused"], ["failed", "not sent"], ["skipped", "left out"]]) {
    if (count(state)) parts.push(`${count(state)} ${word}`);
  }
  if (left) parts.push(`${left} to go`);
  $("sum").textContent = `${left ? "" : "Done: "}${parts.join(", ")}, of ${jobs.length} ${jobs.length === 1 ? "file" : "files"}.`;
  $("stop").hidden = !left;
  $("again").hidden = left > 0 || jobs.every((job) => GOOD.has(job.state));
  $("unlisted").hidden = jobs.length <= MOST_LISTED;
  $("unlisted").textContent = `${jobs.length - MOST_LISTED} more files are not listed unless something is wrong with them.`;
  links();
}

function links() {
  const found = [...studies].slice(0, 20);
  if ($("stored").childElementCount === found.length) return;
  $("stored").replaceChildren(
    ...found.map((uid, at) => {
      const link = document.createElement("a");
      link.href = `${base}/study/${encodeURIComponent(uid)}`;
      link.className = "button";
      link.textContent = found.length === 1 ? "Show the study" : `Show study ${at + 1}`;
      return link;
    }),
  );
  $("stored").className = "buttons";
  $("stored").hidden = false;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
  if (text) $("going").hidden = false;
}
