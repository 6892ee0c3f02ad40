// One file to STOW-RS (PS3.18 10.5), and what the answer says of it in words.

const REASONS = new Map([
  [0x0110, "The archive could not process it."],
  [0x0111, "Another object with the same identifier is stored."],
  [0x0122, "This kind of object is not taken here."],
  [0xa700, "The archive is out of space, or busy."],
  [0xa900, "It does not hold together: an attribute is missing or wrong."],
  [0xc000, "It is no DICOM file, or a damaged one."],
  [0xc122, "Its encoding is not taken here."],
]);

export function send(url, file, sent) {
  const request = new XMLHttpRequest(); // fetch does not tell how much was sent
  const answered = new Promise((resolve) => {
    request.upload.addEventListener("progress", (event) => sent(Math.min(event.loaded, file.size)));
    request.addEventListener("loadend", () => resolve(request));
  });
  request.open("POST", url);
  request.setRequestHeader("Content-Type", "application/dicom");
  request.setRequestHeader("Accept", "application/dicom+json");
  request.send(file);
  return { answered, abort: () => request.abort() };
}

export function outcome(request) {
  const module = parsed(request.responseText);
  const stored = module?.["00081199"]?.Value?.[0];
  const warned = warning(request);
  if (stored) {
    const study = /\/studies\/([0-9.]+)/.exec(stored["00081190"]?.Value?.[0] ?? "")?.[1];
    if (!study) return { state: "aside", text: warned };
    return { state: stored["00081196"] ? "remark" : "stored", text: warned, study };
  }
  if (request.status === 0) return { state: "failed", text: "The archive does not answer." };
  if (request.status === 401) return { state: "failed", text: "Signed out.", signIn: true };
  const failed = (module?.["00081198"] ?? module?.["0008119A"])?.Value?.[0];
  const reason = REASONS.get(failed?.["00081197"]?.Value?.[0]);
  const said = module ? "" : request.responseText.trim().slice(0, 300);
  const state = request.status >= 500 ? "failed" : "refused";
  return { state, text: warned || reason || said || `The archive answers ${request.status}.` };
}

// "A900 http://…/dicom-web: what was wrong" (PS3.18 10.5.3.2)
const warning = (request) => (request.getResponseHeader("Warning") ?? "").replace(/^[0-9A-F]{3,4} \S+: /, "");

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
