// Asking what a redo shall do differently.

import { byId } from "./dom.js";

export class RedoDialog {
  constructor() {
    this.element = byId("redo");
    this.form = this.element.querySelector("form");
    this.prompt = byId("redo-prompt");
    this.seed = byId("redo-seed");
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        this.form.requestSubmit(this.form.querySelector("button[value=redo]"));
      }
    });
  }

  // Return what was asked for, or null when it was called off.
  async ask(row, command) {
    byId("redo-title").textContent = `Redo ${row.id}`;
    byId("redo-command").textContent = command;
    this.prompt.value = row.redo?.prompt ?? row.prompt ?? "";
    this.seed.value = row.redo?.seed ?? "";
    this.element.returnValue = "";
    this.element.showModal();
    this.prompt.focus();
    await new Promise((resolve) => this.element.addEventListener("close", resolve, { once: true }));
    if (this.element.returnValue !== "redo") return null;
    const edited = this.prompt.value.trim();
    return {
      ...(edited !== (row.prompt ?? "") ? { prompt: edited } : {}),
      ...(this.seed.value.trim() ? { seed: Number(this.seed.value) } : {}),
    };
  }
}
