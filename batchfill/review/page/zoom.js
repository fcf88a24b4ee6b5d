// A closer look at the pictures in the window, all in step: how large they are, and which part of them is seen.

import { byId } from "./dom.js";

const STEP = 1.4;
// Times the size at which a pixel of the picture is one of the screen.
const MOST = 8;
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
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.thin();
  }

  // Look at these views from now on: a stage each, and what lies on it: { stage, after, before }. They are of one size.
  attach(views) {
    const [first] = views;
    Object.assign(this, {
      views, stage: first?.stage, frame: first?.stage.querySelector(".frame"), full: null, width: 0, from: null,
    });
    for (const { stage } of views) this.listen(stage);
    if (this.stage) this.apply();
  }

  listen(stage) {
    stage.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.toggleFull(pointOf(event)));
    stage.addEventListener("pointerdown", (event) => this.grab(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { this.from = null; });
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
      await this.loadFull();
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

  // Show the pictures themselves instead of their smaller copies; what no browser reads stays as it is.
  loadFull() {
    const { views } = this;
    this.full ??= Promise.all(views.flatMap((view) => ["after", "before"].map((side) => (
      replaced(view.stage.querySelector(`.${side} img`), view[side], this.fullOf))))).then(([width]) => {
      if (this.views === views) this.width = width;
    });
    return this.full;
  }

  turn(event) {
    event.preventDefault();
    this.by(event.deltaY < 0 ? STEP : 1 / STEP, pointOf(event));
  }

  grab(event) {
    if (this.scale === 1 || event.button !== 0) return;
    this.from = { x: event.clientX - this.x, y: event.clientY - this.y };
    event.currentTarget.setPointerCapture(event.pointerId);
  }

  drag(event) {
    if (!this.from) return;
    Object.assign(this, { x: event.clientX - this.from.x, y: event.clientY - this.from.y });
    this.apply();
  }
}

// Where an event is, from the middle of its stage.
function pointOf({ clientX, clientY, currentTarget }) {
  const box = currentTarget.getBoundingClientRect();
  return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
}

// Give an element its picture in all pixels, and return how wide that is; 0 where it cannot be had.
async function replaced(element, picture, fullOf) {
  const source = element && picture?.key && fullOf(picture);
  if (!source) return 0;
  const full = new Image();
  full.src = source;
  await Promise.all([full.decode().catch(() => {}), ended(element)]);
  const [shape, shown] = [full, element].map(({ naturalWidth, naturalHeight }) => naturalWidth / naturalHeight);
  // A picture that is enlarged is shown on its canvas, which its file is not.
  if (!(Math.abs(shape / shown - 1) < 0.02)) return 0;
  element.dataset.full = "";
  element.src = source;
  return full.naturalWidth;
}

// Return when an element has its picture, or will have none.
function ended(element) {
  if (element.naturalWidth) return null;
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
