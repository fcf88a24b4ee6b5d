// The rows that are decided about at once: those that are chosen among the shown ones.

import { byId, el } from "./dom.js";
import { figure } from "./words.js";

export class Selection {
  // *changed* hears that other rows are selected; *act* is told what the bar's buttons stand for.
  constructor({ changed, act }) {
    this.ids = new Set();
    this.anchor = null;
    this.changed = changed;
    this.element = byId("selection");
    this.count = el("output", {});
    this.all = el("button", { type: "button", class: "quiet", onclick: () => act("selectAll") });
    const button = (name, key, word, look = name) => el("button", {
      type: "button", class: look, "aria-keyshortcuts": key, onclick: () => act(name),
    }, word, " ", el("kbd", {}, key));
    this.element.append(this.count,
      button("approve", "A", "Approve"), button("reject", "X", "Reject"), button("redo", "R", "Redo"),
      this.all, button("clear", "Esc", "Clear", "quiet"));
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  toggle(id) {
    this.anchor = id;
    if (!this.ids.delete(id)) this.ids.add(id);
    this.changed();
  }

  // Select just what lies between the row that was taken last and this *place* among *rows*, these two included.
  extend(rows, place, from = place) {
    let first = rows.findIndex((row) => row.id === this.anchor);
    if (first < 0) first = from;
    this.anchor = rows[first].id;
    this.ids = new Set(rows.slice(Math.min(first, place), Math.max(first, place) + 1).map(({ id }) => id));
    this.changed();
  }

  select(rows) {
    this.ids = new Set(rows.map(({ id }) => id));
    this.changed();
  }

  clear() {
    this.anchor = null;
    this.select([]);
  }

  // What is shown no more is selected no more: only what a person can see is decided.
  keep(shown) {
    if (!this.size) return;
    this.ids = new Set(shown.filter(({ id }) => this.ids.has(id)).map(({ id }) => id));
  }

  // Tell how many of *shown* rows there are.
  draw(shown) {
    this.element.hidden = !this.size;
    this.count.value = `${figure(this.size)} selected`;
    this.all.hidden = this.size === shown;
    this.all.replaceChildren(`All ${figure(shown)} shown `, el("kbd", {}, "Ctrl A"));
  }
}
