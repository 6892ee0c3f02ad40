// Small things that pages are made of. Whatever objects say is put in as text, never as markup.

export const $ = (selector) => document.querySelector(selector);

export function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function say(sentence) {
  $("#said").textContent = sentence;
}

export function problem(sentence) {
  $("#problem").textContent = sentence;
  $("#problem").hidden = !sentence;
}

export const joined = (...parts) => parts.filter(Boolean).join(" · ");
