// What stands around a picture: whose it is, what it is, which way it lies.

import { day, name, number, text, time } from "./dicomweb.js";
import { joined } from "./page.js";
import { ageOf, sidesOf } from "./study.js";
import { firstWindow } from "./windows.js";

const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export function around(element, viewport, series) {
  const shown = viewport.shown;
  const put = (selector, lines) => {
    const said = shown ? lines.filter(Boolean).join("\n") : "";
    const at = element.querySelector(selector);
    if (at.textContent !== said) at.textContent = said;
  };
  const metadata = shown?.metadata ?? {};
  put(".corner.top.left", whose(metadata));
  put(".corner.top.right", [
    text(metadata, "00080080"),
    joined(day(metadata, "00080020"), time(metadata, "00080030")),
    text(metadata, "00081030"),
  ]);
  put(".corner.bottom.left", shown ? whatOf(shown, viewport, series) : []);
  put(".corner.bottom.right", shown ? howOf(viewport, metadata) : []);
  const sides = shown ? sidesOf(metadata) : ["", "", "", ""];
  ["left", "right", "top", "bottom"].forEach((side, at) => put(`.side.${side}`, [sides[at]]));
}

export function whose(metadata) {
  const sex = text(metadata, "00100040");
  return [
    name(metadata, "00100010"),
    joined(text(metadata, "00100020"), sex),
    joined(day(metadata, "00100030"), ageOf(metadata)),
  ];
}

function whatOf(shown, viewport, series) {
  const at = number(shown.metadata, "00201041");
  const thick = number(shown.metadata, "00180050");
  const place = joined(
    at === undefined ? "" : `${decimal.format(at)} mm`,
    thick ? `slice ${decimal.format(thick)} mm` : "",
  );
  const index = viewport.late ? "…" : viewport.index + 1;
  return [
    joined(series.modality, text(shown.metadata, "0008103E")),
    place,
    `Image ${index} of ${viewport.length}`,
  ];
}

function howOf(viewport, metadata) {
  const window = viewport.canWindow && (viewport.window ?? stored(metadata));
  return [
    window ? `C ${decimal.format(window.center)}  W ${decimal.format(window.width)}` : "",
    `${Math.round(viewport.zoom * 100)} %`,
  ];
}

const stored = (metadata) => (number(metadata, "00281051") ? firstWindow(metadata) : null);
