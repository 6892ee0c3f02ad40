// Windows to choose from: those that the object names itself, then those that are usual for the modality.

import { number, numbers, text, values } from "./dicomweb.js";

const USUAL = {
  CT: [
    ["Soft tissue", 40, 400],
    ["Lung", -600, 1500],
    ["Bone", 500, 2000],
    ["Brain", 40, 80],
    ["Subdural", 75, 215],
    ["Liver", 60, 160],
    ["Mediastinum", 50, 350],
  ],
  PT: [["0 to 5", 2.5, 5], ["0 to 10", 5, 10]],
};

export function windowsOf(metadata, modality) {
  const centers = numbers(metadata, "00281050");
  const widths = numbers(metadata, "00281051");
  const names = values(metadata, "00281055");
  const own = centers
    .map((center, at) => ({ name: names[at] || `Window ${at + 1}`, center, width: widths[at] }))
    .filter((one) => one.width > 0);
  const named = new Set(own.map((one) => one.name.toLowerCase()));
  const usual = (USUAL[modality] ?? [])
    .filter(([title]) => !named.has(title.toLowerCase()))
    .map(([title, center, width]) => ({ name: title, center, width }));
  return [{ name: "As stored" }, ...(own.length > 1 ? own : []), ...usual];
}

// What a drag begins with where nobody has chosen a window.
export function firstWindow(metadata) {
  const center = numbers(metadata, "00281050")[0];
  const width = numbers(metadata, "00281051")[0];
  if (center !== undefined && width > 0) return { center, width };
  const bits = number(metadata, "00280101") ?? 8;
  const slope = number(metadata, "00281053") ?? 1;
  const lowest = (number(metadata, "00281052") ?? 0) - (number(metadata, "00280103") ? slope * 2 ** (bits - 1) : 0);
  const range = Math.max(1, Math.abs(slope) * 2 ** bits);
  return { center: lowest + range / 2, width: range };
}

export const isGrey = (metadata) => text(metadata, "00280004").startsWith("MONOCHROME");
