// One question before much is decided at once.

import { byId } from "./dom.js";

// Return whether it was answered with yes; where it *isCareful*, Enter alone says no.
export async function confirmed({ title, note, yes, look, isCareful = false }) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-note").textContent = note;
  byId("question-note").hidden = !note;
  const button = byId("question-yes");
  button.textContent = yes;
  button.className = look;
  dialog.returnValue = "";
  dialog.showModal();
  (isCareful ? dialog.querySelector("[value=cancel]") : button).focus();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
