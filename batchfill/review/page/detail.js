// One row in a window of its own.

import { chosenOutput } from "./batch.js";
import { badge, flagChips } from "./card.js";
import { compare, nextMask, setMask, setSplit, toggleSplit } from "./compare.js";
import { byId, el } from "./dom.js";
import { Loupe } from "./loupe.js";
import { load, thumb, view } from "./picture.js";
import { swipeable } from "./swipe.js";
import { Zoom } from "./zoom.js";
import { STATES, day, duration, money } from "./words.js";

export class Detail {
  constructor({ canDecide, act, closed }) {
    this.element = byId("detail");
    this.canDecide = canDecide;
    this.act = act;
    this.row = null;
    this.before = null;
    this.stages = [];
    this.isBeside = false;
    this.masked = "";
    // A report has the smaller copies only.
    this.zoom = new Zoom({ fullOf: (picture) => canDecide && `files/${picture.key}` });
    this.loupe = new Loupe(this.zoom);
    this.panes = el("div", { class: "panes" });
    this.element.append(this.panes);
    this.element.addEventListener("close", () => {
      // It is told a moment later, when the window may be open again.
      if (this.isOpen || !this.row) return;
      const { id } = this.row;
      this.row = null;
      this.zoom.reset();
      closed(id);
    });
  }

  get isOpen() {
    return this.element.open;
  }

  show(row, { place, of, currency }) {
    const same = this.row?.id === row.id;
    if (same && this.row === row && this.filled === row.filled && this.place === place && this.of === of) return;
    if (!same) {
      this.before = null;
      this.zoom.reset();
    }
    const split = same ? Number(this.stages[0]?.dataset.split ?? 0) : 0;
    [this.row, this.filled, this.place, this.of, this.currency] = [row, row.filled, place, of, currency];
    this.draw(split);
  }

  draw(split) {
    const focused = document.activeElement?.dataset?.name;
    this.panes.replaceChildren(this.stageOf(this.row), this.side());
    for (const stage of this.stages) {
      setSplit(stage, split);
      setMask(stage, this.masked);
    }
    if (!this.isOpen) this.element.showModal();
    const views = this.stages.map((stage, n) => ({ stage, ...this.views[n] }));
    this.zoom.attach(views);
    this.loupe.attach(views);
    const again = [...this.element.querySelectorAll("[data-name]")].find((one) => one.dataset.name === focused);
    (again ?? this.element).focus();
  }

  close() {
    this.element.close();
  }

  compare() {
    for (const stage of this.stages) toggleSplit(stage);
  }

  mask() {
    for (const stage of this.stages) this.masked = nextMask(stage);
  }

  // A lens under the pointer, or none.
  magnify() {
    this.loupe.toggle();
    this.element.querySelector("[data-name=loupe]")?.setAttribute("aria-pressed", String(this.loupe.isOn));
  }

  // The outputs next to each other, or the only one next to what was before; and one over the other again.
  beside() {
    this.isBeside = !this.isBeside;
    this.zoom.reset();
    this.draw(0);
  }

  // Have the next rows' pictures at hand.
  expect(rows) {
    for (const row of rows) {
      for (const picture of [row.image, chosenOutput(row)]) {
        if (picture?.key) load(picture).catch(() => {});
      }
    }
  }

  stageOf(row) {
    this.views = this.viewsOf(row);
    this.stages = this.views.map((seen) => compare({ ...seen, mask: row.mask }, view, { slider: this.views.length === 1 }));
    if (this.stages.length > 1) this.stages.forEach((stage, n) => stage.append(this.label(this.views[n])));
    const waiting = this.stages.length ? [] : [el("div", { class: "compare waiting" },
      el("div", { class: "after" }, row.isBrief ? "" : view(row.image, "before")),
      el("span", { class: "word" }, row.isBrief ? "loading" : STATES[row.state]))];
    const stage = el("div", { class: `stage of-${Math.min(this.stages.length, 4)}` }, ...this.stages, ...waiting);
    swipeable(stage, {
      swiped: (step) => this.act(step > 0 ? "right" : "left"), tapped: () => this.compare(), isFree: () => this.zoom.scale === 1,
    });
    return stage;
  }

  // What is seen at once: { after, before } each.
  viewsOf(row) {
    const output = chosenOutput(row);
    const before = this.before ?? row.image;
    if (!output) return [];
    if (!this.isBeside) return [{ after: output, before }];
    const beside = row.outputs.length > 1 ? row.outputs : [before, output];
    return beside.filter((picture) => picture?.key).map((after) => ({ after, before }));
  }

  label({ after }) {
    const { row } = this;
    const isChosen = row.outputs.length > 1 && after.n === chosenOutput(row).n && after !== this.before;
    return el("span", { class: `number ${isChosen ? "chosen" : ""}`, "aria-hidden": "true" },
      row.outputs.includes(after) ? row.outputs.length > 1 ? String(after.n) : "after" : "before");
  }

  side() {
    const { row } = this;
    return el("div", { class: "side-panel" },
      el("div", { class: "line" },
        el("h2", { id: "detail-name" }, row.id),
        el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.close() }, "✕")),
      el("p", { class: "chips" }, el("span", { class: `pill ${row.state}` }, STATES[row.state]), badge(row), ...flagChips(row)),
      row.error && el("p", { class: "error" }, row.error),
      row.prompt && el("p", { class: "prompt" }, row.prompt),
      !row.isBrief && this.sources(row),
      row.outputs.length > 0 && this.tools(row),
      row.outputs.length > 1 && this.strip("Outputs", row.outputs, (output) => this.outputButton(output)),
      row.earlier.length > 0 && this.strip("Earlier, to compare with", row.earlier, (output) => this.beforeButton(output)),
      this.facts(row),
      this.canDecide && this.actions(row));
  }

  tools(row) {
    const button = (name, key, word, pressed = null) => el("button", {
      type: "button", "data-name": name, "aria-keyshortcuts": key, "aria-pressed": pressed, onclick: () => this.act(name),
    }, word, " ", el("kbd", {}, key));
    return el("p", { class: "tools" },
      button("beside", "G", "Side by side", String(this.isBeside)), button("full", "F", "Full size"),
      button("loupe", "L", "Loupe", String(this.loupe.isOn)),
      row.mask && button("toMask", "T", "To the mask"), row.mask && button("mask", "M", "Show the mask"));
  }

  sources(row) {
    return el("div", { class: "strip" },
      el("h3", {}, "Before and mask"),
      this.sideButton(row.image, "before", () => this.showBefore(null), this.before === null),
      row.mask && this.sideButton(row.mask, "mask", () => this.mask()));
  }

  strip(title, pictures, button) {
    return el("div", { class: "strip" }, el("h3", {}, title), ...pictures.map(button));
  }

  outputButton(output) {
    const pressed = output.n === chosenOutput(this.row).n;
    return this.sideButton(output, String(output.n), () => this.act("choose", output.n), pressed);
  }

  beforeButton(output) {
    return this.sideButton(output, "earlier", () => this.showBefore(output), this.before === output);
  }

  sideButton(picture, word, onclick, pressed = null) {
    return el("button", {
      type: "button", class: "source", onclick, "data-name": `${word} ${picture?.key}`,
      "aria-pressed": pressed === null ? null : String(pressed),
    }, thumb(picture, ""), el("span", {}, word));
  }

  showBefore(picture) {
    this.before = picture;
    this.draw(50);
  }

  facts(row) {
    const output = chosenOutput(row);
    const file = output && this.canDecide
      ? el("a", { href: `files/${output.key}`, target: "_blank", rel: "noopener" }, output.file) : output?.file;
    const facts = [
      ["Place", `${this.place + 1} of ${this.of}, line ${row.line}`],
      ["Seed", row.seed], ["File", file], ["Run time", row.run_time !== undefined && duration(row.run_time)],
      ["Cost", row.cost ? money(row.cost, this.currency) : null], ["Attempts", row.attempts > 1 && row.attempts],
      ["Ended", row.ended_at && day(row.ended_at)], ["Prediction", row.prediction_id],
      ...Object.entries({ ...row.inputs, ...row.columns }),
    ];
    const known = facts.filter(([, value]) => value !== undefined && value !== null && value !== false);
    return el("dl", { class: "facts" }, ...known.flatMap(([term, value]) => [
      el("dt", {}, term), el("dd", {}, value instanceof Node ? value : String(value))]));
  }

  actions(row) {
    const button = (name, key, word) => el("button", {
      type: "button", class: `${name} ${row.decision === RESULT[name] ? "pressed" : ""}`, "data-name": name,
      "aria-keyshortcuts": key, "aria-pressed": name === "undo" ? null : String(row.decision === RESULT[name]),
      onclick: () => this.act(name),
    }, word, " ", el("kbd", {}, key));
    return el("p", { class: "actions" },
      button("approve", "A", "Approve"), button("reject", "X", "Reject"),
      button("redo", "R", "Redo"), button("undo", "Z", "Undo"));
  }
}

const RESULT = { approve: "approved", reject: "rejected", redo: "redo" };
