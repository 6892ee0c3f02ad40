// What is no picture: reports as text, documents to be saved, videos to be played.

import { ask, text, url } from "./dicomweb.js";
import { element } from "./page.js";

const MAKERS = { report, document: file, video, none: nothing };

export function showOthers(place, others, besidePictures) {
  place.hidden = !others.length || besidePictures;
  place.replaceChildren(...(place.hidden ? [] : others.map((one) => MAKERS[one.kind](one))));
}

function article(one, title) {
  const made = element("article");
  made.append(element("h2", title, { dir: "auto" }));
  return made;
}

function report(one) {
  const made = article(one, text(one.metadata, "0008103E") || "Report");
  const body = element("pre", "Loading …", { dir: "auto", tabindex: "0" });
  made.append(body);
  ask(`${one.path}/rendered`, "text/plain")
    .then((answer) => answer.text())
    .catch((error) => error.message)
    .then((said) => (body.textContent = said));
  return made;
}

function file(one) {
  const title = text(one.metadata, "00420010") || text(one.metadata, "0008103E") || "Document";
  const kind = text(one.metadata, "00420012");
  const made = article(one, title);
  const name = kind === "application/pdf" ? "Save the PDF" : `Save the document (${kind || "unknown type"})`;
  made.append(element("a", name, { href: url(`${one.path}/rendered`), class: "button", download: "" }));
  return made;
}

function video(one) {
  const made = article(one, text(one.metadata, "0008103E") || "Video");
  made.append(element("video", "", { src: url(`${one.path}/rendered`), controls: "", preload: "metadata" }));
  return made;
}

function nothing(one) {
  const made = article(one, text(one.metadata, "0008103E") || text(one.metadata, "00080060") || "Object");
  made.append(element("p", "This object has no picture."));
  return made;
}
