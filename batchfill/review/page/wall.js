// The wall: of all rows, only those in sight are elements.

import { card } from "./card.js";
import { nextMask, toggleSplit } from "./compare.js";
import { byId } from "./dom.js";
import { thumb, view } from "./picture.js";
import { EVERYTHING, SIZES } from "./search.js";

const GAP = 14;
const BEYOND = 2;

export class Wall {
  // *need* is told which rows are near: those that are elements, and so many more on either side: *ahead*. *moved*
  // hears that another row is the current one.
  // *press* hears of a click with its event, *tick* of one on the mark of a selected row; no *tick*: none has a mark.
  constructor({ press, choose, tick, selection, need, ahead, moved }) {
    this.element = byId("wall");
    this.hands = { press, choose, tick };
    Object.assign(this, { selection, need, ahead, moved });
    this.rows = [];
    this.cards = new Map();
    this.current = 0;
    this.size = EVERYTHING.size;
    this.due = false;
    this.element.addEventListener("focusin", (event) => this.follow(event.target));
    addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.element);
    this.element.classList.add(this.size);
    this.measure();
  }

  show(rows) {
    const id = this.rows[this.current]?.id;
    const place = rows.findIndex((row) => row.id === id);
    this.rows = rows;
    this.current = Math.max(0, place >= 0 ? place : Math.min(this.current, rows.length - 1));
    this.draw();
  }

  // Make all pictures so large, and stay at the one that was looked at.
  resize(size) {
    if (size === this.size) return;
    this.element.classList.replace(this.size, size);
    this.size = size;
    for (const { element } of this.cards.values()) element.remove();
    this.cards.clear();
    this.measure();
    this.go(this.current, { focus: false });
  }

  row() {
    return this.rows[this.current];
  }

  // Move to a row by its place, and have it in sight, and under the keyboard's hand unless that is elsewhere.
  go(place, { focus = true } = {}) {
    this.current = Math.min(Math.max(place, 0), this.rows.length - 1);
    if (this.current < 0) return;
    this.moved();
    const top = this.top() + this.y(this.current);
    // The first line brings what stands above it along, where there is room for both.
    if (this.y(this.current) === 0 && top + this.height <= innerHeight) scrollTo({ top: 0 });
    const above = byId("filters").getBoundingClientRect().height + GAP;
    if (top < scrollY + above) scrollTo({ top: top - above });
    else if (top + this.height > scrollY + innerHeight) scrollTo({ top: top + this.height + GAP - innerHeight });
    this.paint();
    if (focus) this.cards.get(this.row().id).element.focus({ preventScroll: true });
  }

  step(columns, lines) {
    this.go(this.current + columns + lines * this.columns);
  }

  compare() {
    const shown = this.cards.get(this.row()?.id);
    const stage = shown?.element.querySelector(".compare:not(.waiting)");
    if (stage) toggleSplit(stage);
  }

  mask() {
    nextMask(this.element);
  }

  follow(target) {
    const id = target.closest(".card")?.dataset.id;
    const place = this.rows.findIndex((row) => row.id === id);
    if (place >= 0 && place !== this.current) {
      this.current = place;
      this.moved();
      this.draw();
    }
  }

  measure() {
    const width = this.element.clientWidth;
    const { least, columns } = SIZES[this.size][1];
    this.columns = Math.max(columns, Math.floor((width + GAP) / (least + GAP)));
    this.width = (width - GAP * (this.columns - 1)) / this.columns;
    this.height = Math.round(this.width * 0.75) + parseFloat(getComputedStyle(this.element).getPropertyValue("--caption"));
    this.cards.forEach((shown) => { shown.place = -1; });
    this.draw();
  }

  draw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => { this.due = false; this.paint(); });
  }

  paint() {
    const each = this.height + GAP;
    // A feed has articles.
    this.element.role = this.rows.length ? "feed" : "group";
    this.element.style.height = `${Math.max(0, Math.ceil(this.rows.length / this.columns) * each - GAP)}px`;
    const seen = scrollY - this.top();
    const first = Math.max(0, Math.floor(seen / each) - BEYOND) * this.columns;
    const last = (Math.ceil((seen + innerHeight) / each) + BEYOND) * this.columns;
    const near = this.rows.slice(first, last);
    const wanted = new Map(near.map((row, n) => [row.id, first + n]));
    this.need(this.rows.slice(Math.max(0, first - this.ahead), last + this.ahead));
    this.keep(wanted);
    for (const [id, place] of wanted) this.put(id, place);
  }

  keep(wanted) {
    for (const [id, shown] of this.cards) {
      if (wanted.has(id)) continue;
      // What has the focus stays until something else has it.
      if (shown.element === document.activeElement) wanted.set(id, this.rows.findIndex((row) => row.id === id));
      if ((wanted.get(id) ?? -1) >= 0) continue;
      wanted.delete(id);
      shown.element.remove();
      this.cards.delete(id);
    }
  }

  put(id, place) {
    const row = this.rows[place];
    let shown = this.cards.get(id);
    if (!shown || shown.row !== row || shown.filled !== row.filled) shown = this.replace(shown, row);
    const { element } = shown;
    element.tabIndex = place === this.current ? 0 : -1;
    element.classList.toggle("current", place === this.current);
    this.markSelected(element, id);
    if (shown.place === place && shown.of === this.rows.length) return;
    [shown.place, shown.of] = [place, this.rows.length];
    element.setAttribute("aria-posinset", place + 1);
    element.setAttribute("aria-setsize", this.rows.length);
    element.style.width = `${this.width}px`;
    element.style.height = `${this.height}px`;
    element.style.transform = `translate(${(place % this.columns) * (this.width + GAP)}px, ${this.y(place)}px)`;
  }

  markSelected(element, id) {
    const isSelected = this.selection.has(id);
    if (element.classList.contains("selected") === isSelected) return;
    element.classList.toggle("selected", isSelected);
    element.querySelector(".tick")?.setAttribute("aria-pressed", String(isSelected));
  }

  replace(shown, row) {
    const element = card(row, {
      open: (event) => this.hands.press(row.id, event), choose: (n) => this.hands.choose(row.id, n),
      show: this.size === "large" ? view : thumb,
      tick: this.hands.tick && ((event) => this.hands.tick(row.id, event)),
    });
    if (shown) {
      const focused = shown.element.contains(document.activeElement);
      shown.element.replaceWith(element);
      // The hand may have moved on meanwhile.
      if (focused && row.id === this.row()?.id) element.focus({ preventScroll: true });
    } else this.element.append(element);
    this.cards.set(row.id, { element, row, filled: row.filled, place: -1, of: -1 });
    return this.cards.get(row.id);
  }

  y(place) {
    return Math.floor(place / this.columns) * (this.height + GAP);
  }

  top() {
    return this.element.getBoundingClientRect().top + scrollY;
  }
}
