// Light, dark, or as the system has it.

import { byId } from "./dom.js";

const WORDS = { "": "Auto", light: "Light", dark: "Dark" };
const NEXT = { "": "dark", dark: "light", light: "" };

export function offerThemes() {
  const button = byId("theme");
  const use = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = WORDS[theme];
    button.setAttribute("aria-label", `Colours: ${WORDS[theme].toLowerCase()}`);
  };
  use(remembered());
  button.addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme];
    use(theme);
    try { localStorage.setItem("theme", theme); } catch { /* a report in a browser that keeps nothing for files */ }
  });
}

function remembered() {
  try {
    const theme = localStorage.getItem("theme") ?? "";
    return theme in WORDS ? theme : "";
  } catch {
    return "";
  }
}
