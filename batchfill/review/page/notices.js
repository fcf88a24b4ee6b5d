// What is said over everything else, whichever window is open.

import { byId } from "./dom.js";

// Say something for a moment.
export function say(text) {
  const said = byId("said");
  said.textContent = text;
  said.classList.remove("fading");
  requestAnimationFrame(() => requestAnimationFrame(() => said.classList.add("fading")));
}

// Say something for as long as it is true.
export function showAlert(id, text) {
  const element = byId(id);
  if (element.firstElementChild.textContent === text) return;
  element.firstElementChild.textContent = text;
  element.hidden = !text;
}

// While a window is open, all that is outside of it is neither seen nor heard.
export function stayOnTop() {
  const move = () => {
    const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
    if (byId("notices").parentElement !== top) top.append(byId("notices"));
  };
  new MutationObserver(move).observe(document.body, { subtree: true, attributeFilter: ["open"] });
}
