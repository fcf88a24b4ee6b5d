// A closer look at the picture in the window: how large it is, and which part of it is seen.

const STEP = 1.4;
// Times the size at which a pixel of the picture is one of the screen.
const MOST = 8;
// Of the window, that the part around a mask takes up.
const FILLED = 0.8;
const SAMPLED = 256;

export class Zoom {
  // *fullOf* returns the address of a picture in all its pixels, or null where there is none.
  constructor({ fullOf }) {
    this.fullOf = fullOf;
    this.reset();
  }

  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
  }

  // Look at this stage from now on; *pictures* are what lies on it: { after, before }.
  attach(stage, pictures) {
    Object.assign(this, { stage, pictures, frame: stage?.querySelector(".frame"), full: null, width: 0, from: null });
    if (!stage) return;
    stage.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.toggleFull(this.pointOf(event)));
    stage.addEventListener("pointerdown", (event) => this.grab(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { this.from = null; });
    this.apply();
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
    this.frame.style.transform = this.scale > 1 ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : "";
    this.stage.style.setProperty("--zoom", this.scale);
    this.stage.classList.toggle("zoomed", this.scale > 1);
    if (this.scale > 1) this.loadFull();
  }

  // Show the pictures themselves instead of their smaller copies; what no browser reads stays as it is.
  loadFull() {
    const { stage, pictures } = this;
    const replace = (side) => replaced(stage.querySelector(`.${side} img`), pictures[side], this.fullOf);
    this.full ??= Promise.all([replace("after"), replace("before")]).then(([width]) => {
      if (this.stage === stage) this.width = width;
    });
    return this.full;
  }

  turn(event) {
    event.preventDefault();
    this.by(event.deltaY < 0 ? STEP : 1 / STEP, this.pointOf(event));
  }

  grab(event) {
    if (this.scale === 1 || event.button !== 0) return;
    this.from = { x: event.clientX - this.x, y: event.clientY - this.y };
    this.stage.setPointerCapture(event.pointerId);
  }

  drag(event) {
    if (!this.from) return;
    Object.assign(this, { x: event.clientX - this.from.x, y: event.clientY - this.from.y });
    this.apply();
  }

  pointOf({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
  }
}

// Give an element its picture in all pixels, and return how wide that is; 0 where it cannot be had.
async function replaced(element, picture, fullOf) {
  const source = element && picture?.key && fullOf(picture);
  if (!source) return 0;
  const full = new Image();
  full.src = source;
  await full.decode().catch(() => {});
  const [shape, shown] = [full, element].map(({ naturalWidth, naturalHeight }) => naturalWidth / naturalHeight);
  // A picture that is enlarged is shown on its canvas, which its file is not.
  if (!(Math.abs(shape / shown - 1) < 0.02)) return 0;
  element.dataset.full = "";
  element.src = source;
  return full.naturalWidth;
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
