// A lens under the pointer: the part of the pictures there in all their pixels, the views in step.

import { el } from "./dom.js";

// Times that a picture is enlarged at least: of a small one, too, more is to be seen.
const LEAST = 2;

export class Loupe {
  // *zoom* knows the views, and has their pictures in all pixels.
  constructor(zoom) {
    this.zoom = zoom;
    this.isOn = false;
    this.lenses = [];
  }

  // Look at these views from now on.
  attach(views) {
    this.views = views;
    this.lenses = [];
    for (const { stage } of views) {
      stage.addEventListener("pointermove", (event) => this.follow(event));
      stage.addEventListener("pointerleave", () => this.hide());
    }
    this.mark();
  }

  toggle() {
    this.isOn = !this.isOn;
    if (!this.isOn) this.hide();
    this.mark();
  }

  mark() {
    for (const { stage } of this.views) stage.classList.toggle("louped", this.isOn);
  }

  hide() {
    for (const { element } of this.lenses) element.hidden = true;
  }

  // A finger would cover what the lens shows, and a picture that is zoomed needs none.
  async follow({ pointerType, clientX, clientY, currentTarget }) {
    if (!this.isOn || pointerType === "touch" || this.zoom.scale > 1) {
      this.hide();
      return;
    }
    const { views } = this;
    await this.zoom.loadFull();
    if (this.views !== views || !this.isOn) return;
    if (!this.lenses.length) this.lenses = views.map(({ stage }) => lensOf(stage));
    const frame = currentTarget?.querySelector(".frame") ?? views[0].stage.querySelector(".frame");
    const box = frame.getBoundingClientRect();
    this.place({ x: clientX - box.left, y: clientY - box.top });
  }

  // *point*, of a frame, is in the middle of each lens.
  place({ x, y }) {
    const scale = Math.max(this.zoom.whole(), LEAST);
    for (const { element, copy, frame } of this.lenses) {
      element.hidden = false;
      const half = element.clientWidth / 2;
      element.style.translate = `${frame.offsetLeft + x - half}px ${frame.offsetTop + y - half}px`;
      copy.style.transform = `translate(${half - x * scale}px, ${half - y * scale}px) scale(${scale})`;
    }
  }
}

// A lens over a stage, with a copy of what lies there.
function lensOf(stage) {
  const frame = stage.querySelector(".frame");
  const copy = frame.cloneNode(true);
  for (const other of copy.querySelectorAll("input, .side, .edge")) other.remove();
  const element = el("div", { class: "loupe", "aria-hidden": "true", hidden: true }, copy);
  stage.append(element);
  return { element, copy, frame };
}
