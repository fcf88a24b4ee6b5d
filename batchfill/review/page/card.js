// One row on the wall.

import { chosenOutput } from "./batch.js";
import { compare, draggable } from "./compare.js";
import { el } from "./dom.js";
import { thumb } from "./picture.js";
import { DECISIONS, STATES } from "./words.js";

// *show* makes a picture's element.
export function card(row, { open, choose, tick, show = thumb }) {
  const output = chosenOutput(row);
  const stage = output
    ? compare({ before: row.image, after: output, mask: row.mask }, show)
    : el("div", { class: "compare waiting" }, el("div", { class: "after" }, row.isBrief ? "" : thumb(row.image, "before")));
  if (output) draggable(stage, open);
  else stage.addEventListener("click", open);
  if (!output) stage.append(el("span", { class: "word" }, row.isBrief ? "loading" : STATES[row.state]));
  if (row.outputs.length > 1) stage.append(choices(row, output, choose));
  if (tick) stage.append(tickButton(row, tick));
  stage.append(el("div", { class: "marks" }, ...flagChips(row), badge(row)));
  return el("article", {
    class: `card ${row.state} ${row.decision ?? ""} ${row.unsaved ? "unsaved" : ""}`,
    tabindex: -1, "data-id": row.id, "aria-label": described(row),
  }, stage, el("div", { class: "caption" },
    el("div", { class: "sources" }, ...(row.isBrief ? [] : [thumb(row.image, "before"), thumb(row.mask, "mask")])),
    el("div", { class: "words" },
      el("b", { title: row.id }, row.id),
      el("p", { title: row.error ?? row.prompt }, row.error && row.state !== "done" ? row.error : row.prompt ?? ""))));
}

export function badge(row) {
  if (!row.decision) return "";
  return el("span", { class: `badge ${row.decision}` }, DECISIONS[row.decision], row.unsaved && " …");
}

export function flagChips(row) {
  return row.flags.map((flag) => el("span", { class: "flag" }, flag.replaceAll("_", " ")));
}

// Pressed where the row is selected; the wall says whether it is.
function tickButton(row, tick) {
  const mine = (event) => event.stopPropagation();
  return el("button", {
    type: "button", class: "tick", tabindex: -1, "aria-label": `select ${row.id}`, "aria-pressed": "false",
    onpointerdown: mine, onpointerup: mine, onclick: (event) => { mine(event); tick(event); },
  }, "✓");
}

function choices(row, output, choose) {
  return el("div", { class: "choices", onpointerdown: (event) => event.stopPropagation() },
    ...row.outputs.map(({ n }) => el("button", {
      type: "button", tabindex: -1, "aria-label": `output ${n}`, "aria-pressed": String(n === output.n),
      onpointerup: (event) => event.stopPropagation(), onclick: () => choose(n),
    }, String(n))));
}

function described(row) {
  const parts = [row.id, STATES[row.state], row.decision && DECISIONS[row.decision], row.unsaved && "not saved yet", ...row.flags, row.prompt];
  return parts.filter(Boolean).join(", ");
}
