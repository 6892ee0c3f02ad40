// What a study consists of, as far as it is looked at: series, and their pictures in the order in which they lie.

import { list, number, numbers, text, value } from "./dicomweb.js";

const PDF = "1.2.840.10008.5.1.4.1.1.104.";
const REPORT = "1.2.840.10008.5.1.4.1.1.88.";
const VIDEOS = new Set(["1.1.1", "1.2.1", "1.4.1"].map((end) => `1.2.840.10008.5.1.4.1.1.77.${end}`));

export async function findStudies(words) {
  const fields = "includefield=StudyDescription&limit=50";
  if (!words) return newestFirst(await list(`/studies?${fields}`));
  const wild = encodeURIComponent(`*${words.trim().replaceAll(/[*?\\]/g, "")}*`);
  const asked = ["PatientName", "PatientID"].map((key) => list(`/studies?${key}=${wild}&${fields}`));
  const found = new Map((await Promise.all(asked)).flat().map((one) => [text(one, "0020000D"), one]));
  return newestFirst([...found.values()]);
}

function newestFirst(studies) {
  const moment = (one) => text(one, "00080020") + text(one, "00080030");
  return studies.sort((one, other) => moment(other).localeCompare(moment(one)));
}

export async function openStudy(uid) {
  const here = `/studies/${encodeURIComponent(uid)}`;
  const fields = "StudyDescription,InstitutionName";
  const [studies, series] = await Promise.all([
    list(`/studies?StudyInstanceUID=${encodeURIComponent(uid)}&includefield=${fields}`),
    list(`${here}/series?includefield=SeriesDescription,BodyPartExamined`),
  ]);
  if (!studies.length) return null;
  series.sort((one, other) => (number(one, "00200011") ?? 1e9) - (number(other, "00200011") ?? 1e9));
  return { uid, attributes: studies[0], series: series.map((one) => seriesOf(uid, studies[0], one)) };
}

function seriesOf(study, of, attributes) {
  const uid = text(attributes, "0020000E");
  const path = `/studies/${study}/series/${uid}`;
  const modality = text(attributes, "00080060");
  const count = number(attributes, "00201209") ?? 0;
  let loaded;
  const load = () => (loaded ??= list(`${path}/metadata`).then((found) => partsOf(path, found)));
  return { uid, path, modality, count, attributes, study: of, load, forget: () => (loaded = undefined) };
}

// Pictures as one stack; what is none, one by one.
function partsOf(path, instances) {
  const pictures = [];
  const others = [];
  for (const metadata of sorted(instances)) {
    const at = `${path}/instances/${text(metadata, "00080018")}`;
    const kind = kindOf(metadata);
    if (kind === "picture") pictures.push(...framesOf(at, metadata));
    else others.push({ kind, path: at, metadata });
  }
  return { pictures, others };
}

function kindOf(metadata) {
  const sopClass = text(metadata, "00080016");
  if (sopClass.startsWith(PDF)) return "document";
  if (sopClass.startsWith(REPORT)) return "report";
  if (VIDEOS.has(sopClass)) return "video";
  return number(metadata, "00280010") && number(metadata, "00280011") ? "picture" : "none";
}

function framesOf(path, metadata) {
  const count = Math.max(1, number(metadata, "00280008") ?? 1);
  const [vertical, horizontal] = numbers(metadata, "00280034");
  const stretched = vertical > 0 && horizontal > 0 ? vertical / horizontal : 1;
  const width = number(metadata, "00280011") * Math.max(1, 1 / stretched);
  const height = number(metadata, "00280010") * Math.max(1, stretched);
  return Array.from({ length: count }, (_, at) => ({
    path: `${path}/frames/${at + 1}/rendered`,
    metadata,
    frame: at + 1,
    frames: count,
    width: Math.round(width),
    height: Math.round(height),
    square: stretched === 1,
  }));
}

// By where they lie in the patient if all of them say so and are parallel, else by their number.
function sorted(instances) {
  const normals = instances.map((one) => normalOf(numbers(one, "00200037")));
  const first = normals[0];
  const parallel = first && normals.every((one) => one && Math.abs(dot(one, first)) > 0.999);
  const places = instances.map((one) => numbers(one, "00200032"));
  const placed = parallel && places.every((one) => one.length === 3);
  const rank = (at) => (placed ? dot(places[at], first) : (number(instances[at], "00200013") ?? 0));
  const order = instances.map((one, at) => [rank(at), number(one, "00200013") ?? 0, at]);
  order.sort((one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2]);
  return order.map(([, , at]) => instances[at]);
}

export function normalOf(directions) {
  if (directions.length !== 6) return null;
  const [a, b, c, d, e, f] = directions;
  return [b * f - c * e, c * d - a * f, a * e - b * d];
}

const dot = (one, other) => one.reduce((sum, each, at) => sum + each * other[at], 0);

// The letters at the sides of a picture: left, right, top, bottom.
export function sidesOf(metadata) {
  const directions = numbers(metadata, "00200037");
  if (directions.length === 6) {
    const right = letters(directions.slice(0, 3));
    const bottom = letters(directions.slice(3));
    return [opposite(right), right, opposite(bottom), bottom];
  }
  const right = text(metadata, "00200020");
  const bottom = String(metadata["00200020"]?.Value?.[1] ?? "");
  return [opposite(right), right, opposite(bottom), bottom];
}

const PAIRS = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
const opposite = (side) => [...side].map((each) => PAIRS[each] ?? "").join("");

function letters(direction) {
  const named = direction.map((each, at) => [Math.abs(each), (each > 0 ? "LPH" : "RAF")[at]]);
  return named
    .filter(([size]) => size > 0.25)
    .sort((one, other) => other[0] - one[0])
    .slice(0, 2)
    .map(([, letter]) => letter)
    .join("");
}

export function framesPerSecond(metadata) {
  const rate = number(metadata, "00082144") ?? number(metadata, "00180040");
  const milliseconds = number(metadata, "00181063");
  const said = rate ?? (milliseconds > 0 ? 1000 / milliseconds : 0);
  return said > 0 ? Math.min(60, Math.max(1, said)) : 12;
}

export const ageOf = (metadata) => String(value(metadata, "00101010") ?? "").replace(/^0+/, "");
