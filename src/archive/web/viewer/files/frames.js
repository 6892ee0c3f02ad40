// Pictures of frames: asked for in the order in which they are wanted, a few at a time, and kept while there is room.

import { ask } from "./dicomweb.js";

const AT_ONCE = 3;
const MOST_PIXELS = (navigator.deviceMemory ?? 4) >= 4 ? 96e6 : 32e6;

export class Frames {
  #kept = new Map();
  #pixels = 0;
  #coming = new Map();
  #failed = new Map();
  #wanted = [];
  #arrived;

  constructor(arrived) {
    this.#arrived = arrived;
  }

  get(path) {
    const found = this.#kept.get(path);
    if (found) {
      this.#kept.delete(path);
      this.#kept.set(path, found);
    }
    return found;
  }

  has(path) {
    return this.#kept.has(path);
  }

  failure(path) {
    return this.#failed.get(path);
  }

  // These and no others, the first one first. What is under way is not broken off: it is wanted sooner or later.
  want(paths) {
    this.#wanted = paths;
    this.#failed.clear();
    this.#go();
  }

  clear() {
    for (const one of this.#coming.values()) one.abort();
    for (const one of this.#kept.values()) one.close();
    this.#kept.clear();
    this.#coming.clear();
    this.#wanted = [];
    this.#pixels = 0;
  }

  #go() {
    while (this.#coming.size < AT_ONCE) {
      const next = this.#wanted.find(
        (path) => !this.#kept.has(path) && !this.#coming.has(path) && !this.#failed.has(path),
      );
      if (next === undefined) return;
      this.#fetch(next);
    }
  }

  async #fetch(path) {
    const abort = new AbortController();
    this.#coming.set(path, abort);
    try {
      const answer = await ask(path, "image/jpeg", abort.signal);
      const bitmap = await createImageBitmap(await answer.blob());
      if (abort.signal.aborted) return bitmap.close();
      this.#keep(path, bitmap);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failed.set(path, error);
    }
    this.#coming.delete(path);
    this.#arrived(path);
    this.#go();
  }

  #keep(path, bitmap) {
    this.#kept.set(path, bitmap);
    this.#pixels += bitmap.width * bitmap.height;
    const near = new Set(this.#wanted.slice(0, 8));
    for (const [old, one] of this.#kept) {
      if (this.#pixels <= MOST_PIXELS) return;
      if (old === path || near.has(old)) continue;
      this.#kept.delete(old);
      this.#pixels -= one.width * one.height;
      one.close();
    }
  }
}
