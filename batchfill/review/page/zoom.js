// A closer look at the pictures in the window, all in step: how large they are, and which part of them is seen.

import { byId } from "./dom.js";

const STEP = 1.4;
// Pixels that a notch of a wheel scrolls, and a line where a browser counts lines.
const NOTCH = 100;
const LINE = 33;
// Two fingers on a trackpad come as a wheel that is turned a little.
const PINCHED = 6;
// Times the size at which a pixel of the picture is one of the screen.
const MOST = 8;
// Milliseconds after which a picture is looked at rather than passed by.
const STAYED = 400;
// A telephone has little memory, and pays for what it loads.
const HAS_MOUSE = matchMedia("(pointer: fine)").matches;
// Of the window, that the part around a mask takes up.
const FILLED = 0.8;
const SAMPLED = 256;
// Of a mask's outline, as the page has it.
const OUTLINE = 1.5;

export class Zoom {
  // *fullOf* returns the address of a picture in all its pixels, or null where there is none.
  constructor({ fullOf }) {
    this.fullOf = fullOf;
    this.reset();
  }

  reset() {
    clearTimeout(this.ahead);
    Object.assign(this, { scale: 1, x: 0, y: 0, held: new Map() });
    this.thin();
  }

  // Look at these views from now on: a stage each, and what lies on it: { stage, after, before }. They are of one size.
  attach(views) {
    const [first] = views;
    Object.assign(this, {
      views, stage: first?.stage, frame: first?.stage.querySelector(".frame"), full: null, width: 0, held: new Map(),
      files: new Map(),
    });
    for (const { stage } of views) this.listen(stage);
    clearTimeout(this.ahead);
    if (this.stage) this.apply();
    if (views.length === 1 && HAS_MOUSE) this.ahead = setTimeout(() => this.prepare(), STAYED);
  }

  // Have a picture that is looked at ready in all its pixels: to decode it takes longer than a key may wait.
  async prepare() {
    const { views } = this;
    const full = await this.file(views[0].after);
    if (this.views === views) await full?.decode().catch(() => {});
  }

  listen(stage) {
    stage.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.toggleFull(pointOf(event)));
    stage.addEventListener("pointerdown", (event) => this.grab(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.release(event));
  }

  by(factor, point) {
    this.to(this.scale * factor, point);
  }

  fit() {
    this.to(1);
  }

  // In, out, or all of it, by the key.
  step(key) {
    if (key === "0") this.fit();
    else this.by(key === "-" ? 1 / STEP : STEP);
  }

  // A pixel of the picture is one of the screen, or twice as large where it is that already; and back.
  async toggleFull(point) {
    if (!this.stage) return;
    if (this.scale > 1) this.fit();
    else {
      await this.measureFull();
      this.to(Math.max(this.whole(), 2), point);
    }
  }

  // The part that the mask fills, and back.
  toggleMask() {
    if (!this.stage) return;
    const part = this.scale > 1 ? null : boxOf(this.stage.querySelector(".mask img"));
    if (part) this.show(part);
    else this.fit();
  }

  show(part) {
    const [width, height] = [this.frame.offsetWidth, this.frame.offsetHeight];
    const scale = FILLED * Math.min(this.stage.clientWidth / (part.width * width), this.stage.clientHeight / (part.height * height));
    this.scale = this.bounded(scale);
    this.x = (0.5 - part.x) * width * this.scale;
    this.y = (0.5 - part.y) * height * this.scale;
    this.apply();
  }

  // *point*, from the middle of the stage, stays where it is.
  to(scale, point = { x: 0, y: 0 }) {
    if (!this.stage) return;
    const next = this.bounded(scale);
    this.x = point.x - (point.x - this.x) * (next / this.scale);
    this.y = point.y - (point.y - this.y) * (next / this.scale);
    this.scale = next;
    this.apply();
  }

  // The scale at which a pixel of the picture is one of the screen.
  whole() {
    const width = this.width || this.stage.querySelector(".after img")?.naturalWidth || 0;
    return width / (this.frame.offsetWidth * devicePixelRatio);
  }

  bounded(scale) {
    return Math.max(1, Math.min(scale, Math.max(this.whole(), 1) * MOST));
  }

  apply() {
    const room = (inner, outer) => Math.max(0, (inner * this.scale - outer) / 2);
    const [wide, high] = [
      room(this.frame.offsetWidth, this.stage.clientWidth), room(this.frame.offsetHeight, this.stage.clientHeight),
    ];
    this.x = Math.min(wide, Math.max(-wide, this.x));
    this.y = Math.min(high, Math.max(-high, this.y));
    for (const { stage } of this.views) this.place(stage);
    this.thin();
    if (this.scale > 1) this.loadFull();
  }

  // The outline of a mask stays as thin as it is, however large the picture.
  thin() {
    byId("outline-width").setAttribute("radius", OUTLINE / this.scale);
  }

  place(stage) {
    const moved = this.scale > 1 ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : "";
    stage.querySelector(".frame").style.transform = moved;
    stage.style.setProperty("--zoom", this.scale);
    stage.classList.toggle("zoomed", this.scale > 1);
  }

  // Know how large the picture itself is, which takes no more than to load it.
  async measureFull() {
    const { views } = this;
    const full = await this.file(views[0].after);
    if (this.views === views) this.width ||= full?.naturalWidth ?? 0;
  }

  // Return a picture itself as an image that is loaded, once for the views; null where it cannot be had.
  file(picture) {
    const source = picture?.key && this.fullOf(picture);
    if (!source) return null;
    if (!this.files.has(source)) this.files.set(source, loaded(source));
    return this.files.get(source);
  }

  // Show the pictures themselves instead of their smaller copies; what no browser reads stays as it is.
  loadFull() {
    this.full ??= this.replaceAll(this.views);
    return this.full;
  }

  // What came of the pictures is what is looked at mostly: it comes first.
  async replaceAll(views) {
    const replace = (side) => Promise.all(views.map(async (view) => (
      replaced(view.stage.querySelector(`.${side} img`), await this.file(view[side])))));
    const [width] = await replace("after");
    if (this.views !== views) return;
    this.width = width;
    await replace("before");
  }

  // A notch of a wheel is a step; a trackpad, and two fingers on it, send many small ones.
  turn(event) {
    event.preventDefault();
    const turned = event.deltaY * (event.deltaMode ? LINE : 1) * (event.ctrlKey ? PINCHED : 1);
    const factor = STEP ** (-turned / NOTCH);
    this.by(Math.min(STEP, Math.max(1 / STEP, factor)), pointOf(event));
  }

  // A pointer moves a picture that is zoomed; two fingers zoom it, too.
  grab(event) {
    const isFinger = event.pointerType === "touch";
    if (event.button !== 0 || (this.scale === 1 && !isFinger)) return;
    this.held.set(event.pointerId, pointOf(event));
    if (this.scale > 1 || this.held.size > 1) event.currentTarget.setPointerCapture(event.pointerId);
    this.grip = gripOf(this.held);
  }

  drag(event) {
    if (!this.held.has(event.pointerId)) return;
    this.held.set(event.pointerId, pointOf(event));
    const [from, to] = [this.grip, gripOf(this.held)];
    this.grip = to;
    // One finger on a picture that is not zoomed swipes.
    if (this.scale === 1 && this.held.size === 1) return;
    const scale = this.bounded(this.scale * (to.spread / from.spread));
    this.x = to.x - (from.x - this.x) * (scale / this.scale);
    this.y = to.y - (from.y - this.y) * (scale / this.scale);
    this.scale = scale;
    this.apply();
  }

  release(event) {
    this.held.delete(event.pointerId);
    this.grip = gripOf(this.held);
  }
}

// The middle of two fingers and how far they are from each other; of one, where it is.
function gripOf(held) {
  const [one, other = one] = held.values();
  if (!one) return null;
  const spread = Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, spread };
}

// Where an event is, from the middle of its stage.
function pointOf({ clientX, clientY, currentTarget }) {
  const box = currentTarget.getBoundingClientRect();
  return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
}

// Return a picture that is loaded, and not decoded yet; null where it cannot be had.
async function loaded(source) {
  const full = new Image();
  full.src = source;
  await ended(full);
  return full.naturalWidth ? full : null;
}

// Give an element its picture in all pixels, and return how wide that is; 0 where it cannot be had.
async function replaced(element, full) {
  if (!element || !full) return 0;
  await Promise.all([full.decode().catch(() => {}), ended(element)]);
  const [shape, shown] = [full, element].map(({ naturalWidth, naturalHeight }) => naturalWidth / naturalHeight);
  // A picture that is enlarged is shown on its canvas, which its file is not.
  if (!(Math.abs(shape / shown - 1) < 0.02)) return 0;
  element.dataset.full = "";
  element.src = full.src;
  return full.naturalWidth;
}

// Return when an element has its picture, or will have none.
function ended(element) {
  if (element.complete && element.naturalWidth) return null;
  return new Promise((resolve) => {
    for (const end of ["load", "error"]) element.addEventListener(end, resolve, { once: true });
  });
}

// The middle and the size of what is white in a mask, in parts of its width and height; null where that is not known.
function boxOf(mask) {
  if (!mask?.naturalWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: SAMPLED, height: SAMPLED });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0, SAMPLED, SAMPLED);
  let pixels = null;
  try {
    pixels = context.getImageData(0, 0, SAMPLED, SAMPLED).data;
  } catch {
    // A page that was opened from a file may look at no picture's pixels.
    return null;
  }
  let [left, top, right, bottom] = [SAMPLED, SAMPLED, 0, 0];
  for (let n = 0; n < SAMPLED * SAMPLED; n += 1) {
    if (pixels[4 * n] < 128) continue;
    const [column, line] = [n % SAMPLED, Math.floor(n / SAMPLED)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, line), Math.max(bottom, line + 1)];
  }
  if (right <= left) return null;
  const middle = (one, other) => (one + other) / 2 / SAMPLED;
  return { x: middle(left, right), y: middle(top, bottom), width: (right - left) / SAMPLED, height: (bottom - top) / SAMPLED };
}
