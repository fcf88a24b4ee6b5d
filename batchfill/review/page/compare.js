// Before over after, with a border between them that moves; the mask over both on demand.

import { el } from "./dom.js";

const FAR = 4;
const NEAR = 0.06;

// *show* makes a picture's element; *slider*: with a range that the keyboard moves, too.
export function compare({ before, after, mask }, show, { slider = false } = {}) {
  const frame = el("div", { class: "frame" },
    el("div", { class: "after" }, show(after, "after")),
    el("div", { class: "before" }, show(before, "before")),
    el("div", { class: "mask" }, mask ? show(mask, "mask") : ""),
    el("div", { class: "edge", "aria-hidden": "true" }),
    el("span", { class: "side left", "aria-hidden": "true" }, "before"),
    el("span", { class: "side right", "aria-hidden": "true" }, "after"));
  const stage = el("div", { class: "compare" }, frame);
  // What loads does not bubble, but is seen on its way down.
  frame.addEventListener("load", () => fit(frame), { capture: true });
  if (slider) frame.append(range(stage));
  setSplit(stage, 0);
  return stage;
}

// Give the frame the shape of what came of it. Models round sizes, so what was before is brought into the same
// shape where that is nearly its own: each point has to lie on itself.
function fit(frame) {
  const [after, before] = ["after", "before"].map((side) => shape(frame.querySelector(`.${side} img`)));
  if (after) frame.style.setProperty("--shape", after);
  frame.classList.toggle("alike", Boolean(after && before) && Math.abs(before / after - 1) < NEAR);
}

function shape(image) {
  return image?.naturalHeight ? image.naturalWidth / image.naturalHeight : null;
}

// *percent* of the width shows what was before.
export function setSplit(stage, percent) {
  const split = Math.min(100, Math.max(0, percent));
  stage.dataset.split = Math.round(split);
  stage.style.setProperty("--split", `${split}%`);
  stage.classList.toggle("split", split > 0);
  const slider = stage.querySelector("input[type=range]");
  if (slider) slider.value = split;
}

// What was before, or what came of it, by turns.
export function toggleSplit(stage) {
  setSplit(stage, Number(stage.dataset.split) === 100 ? 0 : 100);
}

const MASKS = ["masked", "outlined"];

// Show a mask over *element* as a tint, as an outline, or not at all, by turns; return how.
export function nextMask(element, shown = MASKS.find((name) => element.classList.contains(name))) {
  const next = MASKS[shown ? MASKS.indexOf(shown) + 1 : 0] ?? "";
  setMask(element, next);
  return next;
}

export function setMask(element, shown) {
  for (const name of MASKS) element.classList.toggle(name, name === shown);
}

// Let a pointer draw the border; a press that does not move is a click.
export function draggable(stage, clicked) {
  let from = null;
  let drawn = false;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0) [from, drawn] = [event.clientX, false];
  });
  stage.addEventListener("pointermove", (event) => {
    if (from === null || (!drawn && Math.abs(event.clientX - from) < FAR)) return;
    if (!drawn) stage.setPointerCapture(event.pointerId);
    drawn = true;
    const box = stage.querySelector(".frame").getBoundingClientRect();
    setSplit(stage, ((event.clientX - box.left) / box.width) * 100);
  });
  stage.addEventListener("pointerup", (event) => {
    if (from !== null && !drawn) clicked(event);
    from = null;
  });
  stage.addEventListener("pointercancel", () => { from = null; });
}

function range(stage) {
  return el("input", {
    type: "range", min: 0, max: 100, value: 0, "aria-label": "How much of the picture before is shown",
    oninput: (event) => setSplit(stage, Number(event.target.value)),
  });
}
