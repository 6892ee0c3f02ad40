// The fields of a view, and the lines that the archive reads: institution=St. Mary*; modality=CT,MR.

// Semicolons divide conditions, so one that is meant gets a backslash, and so does a backslash that ends a value.
const APART = /\\.|\\$|;/gs;

function line(grant) {
  const said = [];
  for (const field of grant.querySelectorAll("[data-condition]")) {
    const value = field.value.trim().replace(APART, (found) => (found.length > 1 ? found : `\\${found}`));
    if (value) said.push(`${field.dataset.condition}=${value}`);
  }
  return said.join("; ");
}

// Puts what the form says of a view into the body. No conditions are sent as an empty line, which the archive refuses,
// never as none, which would be all studies.
export function see(form, body) {
  const view = form.querySelector("[data-view]");
  if (!view) return;
  const lines = Array.from(view.querySelectorAll("[data-grant]"), line);
  const said = view.querySelector("[data-all]").checked ? [] : lines.length ? lines : [""];
  const { within } = view.dataset;
  if (within) body[within] = { ...body[within], see: said };
  else body.see = said;
}

let made = 0;

function add(view) {
  const grant = view.querySelector("template").content.firstElementChild.cloneNode(true);
  made += 1;
  for (const one of grant.querySelectorAll("[id], [for]")) {
    for (const name of ["id", "for"]) {
      if (one.hasAttribute(name)) one.setAttribute(name, one.getAttribute(name).replace("-new-", `-new${made}-`));
    }
  }
  view.querySelector("[data-adds]").parentElement.before(grant);
  grant.querySelector("input").focus();
}

for (const view of document.querySelectorAll("[data-view]")) {
  const some = view.querySelector("[data-some]");
  const shown = () => {
    some.hidden = view.querySelector("[data-all]").checked;
  };
  view.addEventListener("change", shown);
  shown(); // a browser may have kept what was chosen before
  view.addEventListener("click", ({ target }) => {
    if (target.closest("[data-adds]")) add(view);
    const dropped = target.closest("[data-drops]");
    if (!dropped) return;
    dropped.closest("[data-grant]").remove();
    view.querySelector("[data-adds]").focus();
  });
}
