// The page: a list of studies, or the one that the address names.

import { around } from "./corners.js";
import { day, name, text } from "./dicomweb.js";
import { listen } from "./gestures.js";
import { showOthers } from "./others.js";
import { $, element, joined, problem, say } from "./page.js";
import { seriesList } from "./series.js";
import { showStudies } from "./studies.js";
import { framesPerSecond, openStudy } from "./study.js";
import { Viewport } from "./viewport.js";
import { windowsOf } from "./windows.js";

const uids = new URLSearchParams(location.search)
  .getAll("StudyInstanceUIDs")
  .flatMap((each) => each.split(","))
  .filter(Boolean);

const state = { all: [], series: null, mode: "scroll", windows: [], playing: 0 };
let viewport;
let list;

function update() {
  const pictures = viewport.length > 0;
  around($("#viewport"), viewport, state.series);
  $("#place").value = viewport.index + 1;
  $("#number").textContent = pictures ? `${viewport.index + 1} / ${viewport.length}` : "";
  $("#invert").setAttribute("aria-pressed", String(viewport.inverted));
  const failure = pictures && viewport.failure;
  $("#wait").textContent = failure ? `This picture cannot be shown. ${failure.message}` : "Loading …";
  $("#wait").hidden = !pictures || !(failure || !viewport.shown);
  $("#viewport").setAttribute(
    "aria-label",
    `${joined(state.series?.modality, text(state.series?.attributes, "0008103E"))}, image ${viewport.index + 1} of ${viewport.length}`,
  );
  const at = state.windows.findIndex((one) => same(one, viewport.window));
  $("#preset").selectedIndex = at;
}

const same = (one, other) => one.center === other?.center && one.width === other?.width;

async function open(series) {
  stop();
  state.series = series;
  list.mark(series);
  viewport.show([]);
  $("#wait").hidden = false;
  problem("");
  let parts;
  try {
    parts = await series.load();
  } catch (error) {
    series.forget();
    if (state.series === series) problem(error.message);
    return;
  }
  if (state.series !== series) return;
  const pictures = parts.pictures.length > 0;
  for (const id of ["#viewport", "#places"]) $(id).hidden = !pictures;
  $("#stage").classList.toggle("without", !pictures);
  showOthers($("#other"), parts.others, pictures);
  if (pictures) prepare(parts.pictures, series);
  const what = joined(series.modality, text(series.attributes, "0008103E"));
  say(pictures ? `${what}, ${parts.pictures.length} images` : what);
}

function prepare(pictures, series) {
  $("#place").max = pictures.length;
  $("#places").classList.toggle("single", pictures.length < 2);
  $("#play").hidden = pictures.length < 2;
  viewport.show(pictures);
  state.windows = viewport.canWindow ? windowsOf(pictures[0].metadata, series.modality) : [];
  $("#preset").replaceChildren(...state.windows.map((one) => element("option", one.name)));
  $("#preset").disabled = !state.windows.length;
  if (state.mode === "window" && !viewport.canWindow) choose("scroll");
  $('#modes [data-mode="window"]').disabled = !viewport.canWindow;
  choose(pictures.length < 2 && state.mode === "scroll" ? (viewport.canWindow ? "window" : "pan") : state.mode);
  if (pictures.length > 1 && pictures[0].frames === 1) viewport.go(Math.floor(pictures.length / 2));
  update();
}

function choose(mode) {
  const button = $(`#modes [data-mode="${mode}"]`);
  if (button.disabled) return;
  state.mode = mode;
  for (const one of document.querySelectorAll("#modes [data-mode]")) {
    one.setAttribute("aria-checked", String(one === button));
    one.tabIndex = one === button ? 0 : -1;
  }
  $("#viewport").dataset.mode = mode;
}

function preset(at) {
  const chosen = state.windows[at];
  if (!chosen) return;
  viewport.setWindow(chosen.width ? { center: chosen.center, width: chosen.width } : null);
  say(`Window ${chosen.name}`);
}

function neighbour(step) {
  const next = state.all[state.all.indexOf(state.series) + step];
  if (next) open(next);
}

function play() {
  if (state.playing) return stop();
  if (viewport.length < 2) return;
  const interval = 1000 / framesPerSecond(viewport.picture.metadata);
  let due = performance.now();
  const step = (now) => {
    state.playing = requestAnimationFrame(step);
    const next = (viewport.index + 1) % viewport.length;
    if (now < due || viewport.late) return;
    due = Math.max(due + interval, now - interval);
    viewport.go(next);
  };
  state.playing = requestAnimationFrame(step);
  playing(true);
}

function stop() {
  cancelAnimationFrame(state.playing);
  state.playing = 0;
  playing(false);
}

function playing(now) {
  $("#play").setAttribute("aria-pressed", String(now));
  $("#play").textContent = now ? "Stop" : "Play";
}

function connect() {
  const dialog = $("#keys");
  const help = () => dialog.showModal();
  listen(viewport, {
    mode: () => state.mode,
    busy: () => dialog.open || $("#viewport").hidden,
    choose,
    preset,
    play,
    help,
    series: neighbour,
  });
  const on = (selector, event, action) => $(selector).addEventListener(event, action);
  on("#modes", "click", (event) => event.target.dataset.mode && choose(event.target.dataset.mode));
  on("#modes", "keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const modes = [...document.querySelectorAll("#modes [data-mode]:not(:disabled)")];
    const next = modes[(modes.indexOf(event.target) + step + modes.length) % modes.length];
    choose(next.dataset.mode);
    next.focus();
    event.preventDefault();
  });
  on("#preset", "change", (event) => preset(event.target.selectedIndex));
  on("#invert", "click", () => viewport.invert());
  on("#reset", "click", () => viewport.reset());
  on("#play", "click", play);
  on("#before", "click", () => viewport.go(viewport.index - 1));
  on("#after", "click", () => viewport.go(viewport.index + 1));
  on("#place", "input", (event) => viewport.go(Number(event.target.value) - 1));
  on("#help", "click", help);
  on("#close", "click", () => dialog.close());
}

async function showStudy() {
  $("#study").hidden = false;
  $("#back").href = location.pathname;
  viewport = new Viewport($("#viewport"), update);
  connect();
  choose("scroll");
  const studies = (await Promise.all(uids.map(openStudy))).filter(Boolean);
  if (!studies.length) throw new Error("There is no such study.");
  const { attributes } = studies[0];
  $("#patient").textContent = name(attributes, "00100010") || "No name";
  $("#about").textContent = joined(
    text(attributes, "00100020"),
    day(attributes, "00080020"),
    text(attributes, "00081030"),
  );
  document.title = `${name(attributes, "00100010") || "Study"} – Viewer`;
  state.all = studies.flatMap((one) => one.series);
  list = seriesList($("#series"), studies, open);
  const images = state.all.find((one) => !["SR", "DOC", "PR", "KO", "SEG", "RTSTRUCT"].includes(one.modality));
  if (state.all.length) await open(images ?? state.all[0]);
}

const begin = uids.length ? showStudy : showStudies;
begin().catch((error) => problem(error.message));
