// One question before much is decided at once.

import { byId } from "./dom.js";

let last = Promise.resolve();

// Have *ask* ask once what was asked before is over: a window tells of its closing a moment later.
export function inTurn(ask) {
  last = last.then(ask, ask);
  return last;
}

// Open a window, with the keyboard at *first*, and return the value with which it closes.
export async function answerOf(dialog, first) {
  dialog.returnValue = "";
  dialog.showModal();
  first.focus();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue;
}

// Return whether it was answered with yes; where it *isCareful*, Enter alone says no.
export function confirmed({ title, note, yes, look, isCareful = false }) {
  return inTurn(async () => {
    const dialog = byId("question");
    byId("question-title").textContent = title;
    byId("question-note").textContent = note;
    byId("question-note").hidden = !note;
    const button = byId("question-yes");
    button.textContent = yes;
    button.className = look;
    return await answerOf(dialog, isCareful ? dialog.querySelector("[value=cancel]") : button) === "yes";
  });
}
