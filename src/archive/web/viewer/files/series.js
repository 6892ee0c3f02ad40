// The series of a study to choose from, each with its thumbnail.

import { day, text, url } from "./dicomweb.js";
import { element, joined } from "./page.js";

export function seriesList(nav, studies, open) {
  const buttons = new Map();
  const parts = studies.flatMap((study) => {
    const items = element("ul");
    items.append(...study.series.map((one) => item(one, buttons, open)));
    if (studies.length === 1) return [items];
    return [element("h2", joined(day(study.attributes, "00080020"), text(study.attributes, "00081030"))), items];
  });
  nav.replaceChildren(...parts);
  return { mark: (series) => mark(buttons, series) };
}

function mark(buttons, series) {
  for (const [one, button] of buttons) button.setAttribute("aria-current", String(one === series));
  buttons.get(series)?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function item(series, buttons, open) {
  const button = element("button", "", { type: "button" });
  const words = element("span", "", { class: "words" });
  const number = text(series.attributes, "00200011");
  words.append(
    element("strong", text(series.attributes, "0008103E") || `Series ${number}`, { dir: "auto" }),
    element("span", joined(series.modality, series.count > 1 ? String(series.count) : ""), { class: "faint" }),
  );
  const picture = element("img", "", {
    src: url(`${series.path}/thumbnail?viewport=160,160`),
    alt: "",
    loading: "lazy",
    width: "80",
    height: "80",
  });
  button.append(picture, words);
  button.addEventListener("click", () => open(series));
  buttons.set(series, button);
  const made = element("li");
  made.append(button);
  return made;
}
