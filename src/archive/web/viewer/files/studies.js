// The studies that are stored, the newest first, with a box to search them by name or ID.

import { day, name, text, url, values } from "./dicomweb.js";
import { $, element, joined, problem, say } from "./page.js";
import { findStudies } from "./study.js";

const PAUSE = 200;

export async function showStudies() {
  document.title = "Studies";
  $("#studies").hidden = false;
  let timer = 0;
  let turn = 0;
  const search = async () => {
    const mine = (turn += 1);
    try {
      const found = await findStudies($("#search").value);
      if (mine !== turn) return;
      problem("");
      fill(found);
    } catch (error) {
      if (mine === turn) problem(error.message);
    }
  };
  $("#search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
  await search();
}

function fill(found) {
  $("#found").replaceChildren(...found.map(row));
  const searched = $("#search").value.trim();
  $("#none").textContent = searched
    ? "No study of such a patient."
    : "Nothing is stored yet. archive demo fills the archive with something to look at.";
  $("#none").hidden = found.length > 0;
  say(found.length === 1 ? "1 study" : `${found.length} studies`);
}

function row(study) {
  const uid = text(study, "0020000D");
  const link = element("a", "", { href: `?${new URLSearchParams({ StudyInstanceUIDs: uid })}` });
  const who = element("span", "", { class: "patient" });
  who.append(
    element("strong", name(study, "00100010") || "No name", { dir: "auto" }),
    element("span", text(study, "00100020"), { class: "faint" }),
  );
  const what = element("span", "", { class: "what" });
  what.append(
    element("span", text(study, "00081030") || "No description", { dir: "auto" }),
    element("span", joined(values(study, "00080061").join(", "), count(study)), { class: "faint" }),
  );
  const picture = element("img", "", {
    src: url(`/studies/${uid}/thumbnail?viewport=160,160`),
    alt: "",
    loading: "lazy",
    width: "64",
    height: "64",
  });
  link.append(picture, who, what, element("time", day(study, "00080020")));
  const item = element("li");
  item.append(link);
  return item;
}

function count(study) {
  const number = Number(text(study, "00201208"));
  return number === 1 ? "1 object" : number ? `${number} objects` : "";
}
