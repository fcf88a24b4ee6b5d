// Asking what a redo shall do differently.

import { byId } from "./dom.js";
import { answerOf, inTurn } from "./question.js";
import { count } from "./words.js";

const MOST_SEED = 2 ** 31 - 1;

export class RedoDialog {
  constructor() {
    this.element = byId("redo");
    this.form = this.element.querySelector("form");
    this.prompt = byId("redo-prompt");
    this.seed = byId("redo-seed");
    this.inputs = byId("redo-inputs");
    this.seed.addEventListener("input", () => this.checkSeed());
    this.inputs.addEventListener("input", () => this.checkInputs());
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        this.form.requestSubmit(this.form.querySelector("button[value=redo]"));
      }
    });
  }

  // What would be refused is said while it can be mended.
  checkSeed() {
    const seed = this.seed.value.trim();
    const fits = !seed || (Number(seed) >= 1 && Number(seed) <= MOST_SEED);
    this.seed.setCustomValidity(fits ? "" : `A seed is a number from 1 to ${MOST_SEED}.`);
  }

  checkInputs() {
    const fits = linesOf(this.inputs.value).every((line) => line.indexOf("=") > 0);
    this.inputs.setCustomValidity(fits ? "" : "Each line is an input and its value: guidance=40");
  }

  word(rows, command) {
    const isOne = rows.length === 1;
    byId("redo-title").textContent = `Redo ${isOne ? rows[0].id : count(rows.length, "row")}`;
    byId("redo-command").textContent = command;
    byId("redo-empty").textContent = isOne ? "An empty seed is a new one."
      : "Each row gets a new seed, and without a prompt here keeps its own.";
    byId("redo-kept").textContent = rows.every(({ outputs }) => !outputs.length) ? "Nothing is paid before that."
      : `The ${isOne ? "picture" : "pictures"} of today ${isOne ? "is" : "are"} kept.`;
    // Equal seeds would make equal mistakes.
    byId("redo-seed-label").hidden = !isOne;
  }

  // Return what was asked for about a row, or about several at once, or null when it was called off.
  ask(rows, command) {
    return inTurn(() => this.answer(rows, command));
  }

  async answer(rows, command) {
    const row = rows.length === 1 ? rows[0] : {};
    this.word(rows, command);
    this.prompt.value = row.redo?.prompt ?? row.prompt ?? "";
    this.seed.value = row.redo?.seed ?? "";
    this.inputs.value = asLines(row.redo?.inputs ?? row.changed_inputs);
    this.checkSeed();
    this.checkInputs();
    if (await answerOf(this.element, this.prompt) !== "redo") return null;
    const edited = this.prompt.value.trim();
    const inputs = asInputs(this.inputs.value);
    return {
      ...(edited !== (row.prompt ?? "") ? { prompt: edited } : {}),
      ...(this.seed.value.trim() ? { seed: Number(this.seed.value) } : {}),
      ...(asLines(inputs) !== asLines(row.changed_inputs) ? { inputs } : {}),
    };
  }
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

// Inputs as they are written and read: one a line, an empty value is the model's default.
function asLines(inputs = {}) {
  return Object.entries(inputs).map(([name, value]) => `${name}=${value ?? ""}`).join("\n");
}

function asInputs(text) {
  return Object.fromEntries(linesOf(text).map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}
