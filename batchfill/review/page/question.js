// One question before much is decided at once.

import { byId } from "./dom.js";

// Return whether it was answered with yes.
export async function confirmed({ title, note, yes, look }) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-note").textContent = note;
  byId("question-note").hidden = !note;
  const button = byId("question-yes");
  button.textContent = yes;
  button.className = look;
  dialog.returnValue = "";
  dialog.showModal();
  button.focus();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
