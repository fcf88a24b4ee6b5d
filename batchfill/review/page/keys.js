// Which key does what.

import { byId, el } from "./dom.js";

export const KEYS = [
  ["ArrowLeft", "left", "← → ↑ ↓", "move"],
  ["ArrowRight", "right"],
  ["ArrowUp", "up"],
  ["ArrowDown", "down"],
  ["Home", "first", "Home End", "the first, the last"],
  ["End", "last"],
  ["Enter", "open", "Enter", "a window for the picture; Esc closes it"],
  [" ", "compare", "Space", "before and after by turns"],
  ["m", "mask", "M", "the mask over the pictures as a tint, as an outline, or not at all"],
  ["g", "beside", "G", "outputs next to each other, in step (in its window)"],
  ["f", "full", "F", "full size, and back (in its window); drag to see another part"],
  ["l", "loupe", "L", "a loupe under the pointer (in its window)"],
  ["t", "toMask", "T", "to the mask, and back (in its window)"],
  ["+", "zoom", "+ − 0", "larger, smaller, all of it (in its window)"],
  ["=", "zoom"],
  ["-", "zoom"],
  ["0", "zoom"],
  ["n", "undecided", "N", "the next one that is not decided"],
  ["s", "tick", "S", "select the row, or not; Ctrl and a click do, too"],
  ["Shift+ArrowLeft", "extendLeft", "Shift ← →", "select more; Shift and a click do, too"],
  ["Shift+ArrowRight", "extendRight"],
  ["Shift+ArrowUp", "extendUp"],
  ["Shift+ArrowDown", "extendDown"],
  ["Ctrl+a", "selectAll", "Ctrl A", "select all that the filters show; A, X and R are about them then"],
  ["Escape", "clear"],
  ["a", "approve", "A", "approve"],
  ["x", "reject", "X", "reject"],
  ["r", "redo", "R", "redo, with another prompt or seed"],
  ["1", "choose", "1 – 4", "choose among outputs"],
  ["2", "choose"],
  ["3", "choose"],
  ["4", "choose"],
  ["z", "undo", "Z", "undo the last decision"],
  ["/", "search", "/", "search"],
  ["?", "help", "?", "these keys"],
];

const DECIDING = new Set([
  "approve", "reject", "redo", "undo", "undecided", "tick", "extendLeft", "extendRight", "extendUp", "extendDown",
  "selectAll", "clear",
]);
const MOVING = new Set(["left", "right", "up", "down", "first", "last"]);

// What an action is told of its key.
const VALUES = { choose: Number, zoom: String };

export function listen(act, canDecide) {
  const actions = new Map(KEYS.filter(([, name]) => canDecide || !DECIDING.has(name)).map(([key, name]) => [key, name]));
  addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented || isTyped(event)) return;
    const name = namesOf(event).map((key) => actions.get(key)).find(Boolean);
    if (!name || belongsToElement(name, event.target)) return;
    // What had nothing to do leaves the key to the browser.
    if (act(name, VALUES[name]?.(event.key)) !== false) event.preventDefault();
  });
  byId("keys").replaceChildren(...KEYS.filter(([, name, shown]) => shown && (canDecide || !DECIDING.has(name)))
    .flatMap(([, , shown, word]) => [el("dt", {}, el("kbd", {}, shown)), el("dd", {}, word)]));
}

// What the list may call a key that is pressed, the exact name first.
function namesOf({ key, ctrlKey, metaKey, shiftKey }) {
  const plain = key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) return [`Ctrl+${plain}`];
  return shiftKey ? [`Shift+${plain}`, plain] : [plain];
}

function isTyped({ target, key }) {
  if (document.querySelector("dialog.small[open]")) return true;
  const field = target.closest?.("input:not([type=range]), textarea, select");
  // Escape gives the keyboard back to the wall.
  if (field && key === "Escape" && field.value === "") field.blur();
  return Boolean(field);
}

// Space and Enter press a button, and arrows move a slider, as everywhere.
function belongsToElement(name, target) {
  if (target.matches("input[type=range]")) return MOVING.has(name);
  return (name === "compare" || name === "open") && Boolean(target.closest("button, a, summary"));
}
