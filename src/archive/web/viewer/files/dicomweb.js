// DICOMweb of the archive that this page comes from, and values out of DICOM JSON.

const base = document.documentElement.dataset.base;
const root = `${base}/dicom-web`;

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(path, accept, signal) {
  let answer;
  try {
    answer = await fetch(`${root}${path}`, { headers: { Accept: accept }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The archive does not answer.");
  }
  if (answer.status === 401) {
    // The session has ended: one comes back here after signing in.
    location.assign(`${base}/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
  return answer;
}

export async function list(path) {
  const answer = await ask(path, "application/dicom+json");
  return answer.status === 204 ? [] : answer.json();
}

export const url = (path) => `${root}${path}`;

export const values = (of, tag) => of?.[tag]?.Value ?? [];
export const value = (of, tag) => values(of, tag)[0];
export const text = (of, tag) => String(value(of, tag) ?? "");
export const number = (of, tag) => {
  const found = Number.parseFloat(value(of, tag));
  return Number.isFinite(found) ? found : undefined;
};
export const numbers = (of, tag) => values(of, tag).map(Number).filter(Number.isFinite);

export function name(of, tag) {
  const found = value(of, tag) ?? {};
  const plain = (group) => {
    const [family, given, middle, prefix, suffix] = (group ?? "").split("^");
    const first = [prefix, given, middle].filter(Boolean).join(" ");
    return [[family, first].filter(Boolean).join(", "), suffix].filter(Boolean).join(" ");
  };
  return [plain(found.Alphabetic), plain(found.Ideographic).replace(", ", " ")].filter(Boolean).join(" · ");
}

export function day(of, tag) {
  const found = /^(\d{4})(\d{2})(\d{2})$/.exec(text(of, tag));
  if (!found) return text(of, tag);
  const [, year, month, date] = found.map(Number);
  return new Date(year, month - 1, date).toLocaleDateString(undefined, { dateStyle: "medium" });
}

export function time(of, tag) {
  const found = /^(\d{2})(\d{2})/.exec(text(of, tag));
  return found ? `${found[1]}:${found[2]}` : "";
}
