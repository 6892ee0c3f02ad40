// The canvas: which picture of a stack it shows, in which window, how large and where.

import { Frames } from "./frames.js";
import { firstWindow, isGrey } from "./windows.js";

const AHEAD = 24;
const BEHIND = 8;
const MOST_ZOOM = 16;
const QUIET = 160;

export class Viewport {
  #canvas;
  #context;
  #frames;
  #changed;
  #pictures = [];
  #index = 0;
  #direction = 1;
  #shown = null;
  #window = null;
  #dragging = false;
  #timer = 0;
  zoom = 1;
  x = 0;
  y = 0;
  inverted = false;

  constructor(element, changed) {
    this.element = element;
    this.#canvas = element.querySelector("canvas");
    this.#context = this.#canvas.getContext("2d", { alpha: false });
    this.#changed = changed;
    this.#frames = new Frames((path) => this.#arrived(path));
    new ResizeObserver(() => this.#resized()).observe(element);
  }

  show(pictures) {
    this.#frames.clear();
    this.#pictures = pictures;
    this.#index = this.#direction = 0;
    this.#shown = this.#window = null;
    this.inverted = false;
    this.#place();
    this.#draw();
    this.#ask();
  }

  get length() {
    return this.#pictures.length;
  }

  get index() {
    return this.#index;
  }

  get picture() {
    return this.#pictures[this.#index];
  }

  // The picture that is on the screen, which may be late.
  get shown() {
    return this.#shown === null ? undefined : this.#pictures[this.#shown.index];
  }

  get window() {
    return this.#window;
  }

  get late() {
    return this.#shown === null || this.#shown.index !== this.#index;
  }

  get failure() {
    return this.picture && this.#frames.failure(this.#path(this.#index));
  }

  get canWindow() {
    return Boolean(this.picture) && isGrey(this.picture.metadata);
  }

  go(index) {
    const wanted = Math.min(Math.max(index, 0), this.length - 1);
    if (wanted === this.#index || !this.length) return;
    this.#direction = Math.sign(wanted - this.#index);
    this.#index = wanted;
    this.#show(wanted);
    this.#ask();
    this.#changed();
  }

  setWindow(window, dragging = false) {
    this.#window = window;
    this.#dragging = dragging;
    this.#show(this.#index);
    this.#ask();
    this.#changed();
  }

  // A drag across the whole width makes the window e times as wide; one from top to bottom moves it by its width.
  dragWindow(across, down) {
    if (!this.canWindow) return;
    const { center, width } = this.#window ?? firstWindow(this.picture.metadata);
    const side = Math.max(200, Math.min(this.element.clientWidth, this.element.clientHeight));
    const wider = Math.min(Math.max(width * Math.exp((1.6 * across) / side), 1), 1e6);
    this.setWindow({ center: center + (down / side) * width, width: wider }, true);
  }

  endDrag() {
    if (!this.#dragging) return;
    this.#dragging = false;
    this.#ask();
  }

  reset() {
    this.inverted = false;
    this.#place();
    this.setWindow(null);
    this.#draw();
  }

  invert() {
    this.inverted = !this.inverted;
    this.#draw();
    this.#changed();
  }

  move(right, down) {
    this.x += right;
    this.y += down;
    this.#hold();
    this.#draw();
  }

  // About a point of the element; the middle if none is given.
  magnify(factor, at) {
    const middle = { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 };
    const { x, y } = at ?? middle;
    const zoom = Math.min(Math.max(this.zoom * factor, 0.5), MOST_ZOOM);
    const ratio = zoom / this.zoom;
    this.x = (x - middle.x) * (1 - ratio) + this.x * ratio;
    this.y = (y - middle.y) * (1 - ratio) + this.y * ratio;
    this.zoom = zoom;
    this.#hold();
    this.#draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), QUIET);
    this.#changed();
  }

  // Some of it always stays to be seen.
  #hold() {
    if (!this.picture) return;
    const { width, height } = this.#size();
    const most = (whole, part) => Math.max(0, (whole + part) / 2 - 40);
    const across = most(this.element.clientWidth, width);
    const down = most(this.element.clientHeight, height);
    this.x = Math.min(Math.max(this.x, -across), across);
    this.y = Math.min(Math.max(this.y, -down), down);
  }

  #place() {
    this.zoom = 1;
    this.x = this.y = 0;
  }

  #size() {
    const { width, height } = this.picture;
    const fit = Math.min(this.element.clientWidth / width, this.element.clientHeight / height) || 1;
    return { width: width * fit * this.zoom, height: height * fit * this.zoom };
  }

  // Where each picture is: as large as it is needed, by halves, so that few sizes are asked for.
  #path(index) {
    const picture = this.#pictures[index];
    const needed = (this.#size().width * window.devicePixelRatio) / picture.width;
    let scale = 1;
    while (scale > needed * 1.25 && picture.width * scale > 128) scale /= 2;
    const asked = new URLSearchParams({ quality: "92" });
    if (scale < 1 || !picture.square) {
      asked.set("viewport", `${Math.ceil(picture.width * scale)},${Math.ceil(picture.height * scale)}`);
    }
    if (this.#window && isGrey(picture.metadata)) {
      asked.set("window", `${this.#window.center.toFixed(2)},${this.#window.width.toFixed(2)},linear`);
    }
    return `${picture.path}?${asked}`;
  }

  #ask() {
    if (!this.length) return;
    const wanted = [this.#path(this.#index)];
    const towards = this.#direction || 1;
    for (let away = 1; !this.#dragging && away <= AHEAD; away += 1) {
      const near = [this.#index + away * towards];
      if (away <= BEHIND) near.push(this.#index - away * towards);
      for (const at of near) if (at >= 0 && at < this.length) wanted.push(this.#path(at));
    }
    this.#frames.want(wanted);
  }

  #arrived() {
    if (!this.length) return;
    if (this.#frames.has(this.#path(this.#index))) this.#show(this.#index);
    else if (this.failure) this.#changed();
  }

  // Until the one that is wanted has come, the last one stays: nothing flickers.
  #show(index) {
    const bitmap = this.#frames.get(this.#path(index));
    if (!bitmap) return;
    this.#shown = { index, bitmap };
    this.#draw();
    this.#changed();
  }

  #resized() {
    const scale = window.devicePixelRatio;
    this.#canvas.width = Math.max(1, Math.round(this.element.clientWidth * scale));
    this.#canvas.height = Math.max(1, Math.round(this.element.clientHeight * scale));
    this.#hold();
    this.#draw();
    this.#ask();
  }

  #draw() {
    const { width, height } = this.#canvas;
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (this.#shown === null || !this.picture) return;
    const scale = window.devicePixelRatio;
    const size = this.#size();
    const at = [
      scale * ((this.element.clientWidth - size.width) / 2 + this.x),
      scale * ((this.element.clientHeight - size.height) / 2 + this.y),
      scale * size.width,
      scale * size.height,
    ];
    context.imageSmoothingQuality = "high";
    if (!this.#isFresh()) return;
    context.drawImage(this.#shown.bitmap, ...at);
    if (!this.inverted) return;
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#fff";
    context.fillRect(...at);
    context.globalCompositeOperation = "source-over";
  }

  // A bitmap that was let go of meanwhile has no size.
  #isFresh() {
    if (this.#shown.bitmap.width) return true;
    const again = this.#frames.get(this.#path(this.#shown.index));
    if (again) this.#shown.bitmap = again;
    return Boolean(again);
  }
}
