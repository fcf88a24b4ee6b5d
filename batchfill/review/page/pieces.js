// The rows of a report: files next to the page that are loaded when they are needed. A page that is opened from a file
// may load scripts, and nothing else.

import { isWhole } from "./batch.js";
import { el } from "./dom.js";

// Where a piece leaves its rows.
window.pieces = {};

export const SAY_EVERY = 250;

// A row of an index: *entry* holds its *fields*.
export function briefRow(fields, entry) {
  const row = { isBrief: true };
  fields.forEach((field, n) => { row[field] = entry[n] ?? undefined; });
  row.flags ??= [];
  return row;
}

export class Pieces {
  // The number of each piece's first row, and that behind the last; the fields of a row in an index.
  constructor({ rows, index, fields }, { batch, trouble }) {
    Object.assign(this, { starts: { rows, index }, fields, batch, trouble });
    this.asked = new Set();
    this.searching = false;
    this.searched = 0;
  }

  // Have every row known by what it is found by; the first of them are shown at once.
  async readIndex() {
    let rows = [];
    for (const [n, first] of this.starts.index.slice(0, -1).entries()) {
      const entries = await this.load("index", n);
      rows.push(...entries.map((entry, place) => ({ ...briefRow(this.fields, entry), place: first + place })));
      // Each time for twice as many: all that is shown is made again for it.
      if (rows.length < first) continue;
      this.batch.take(rows);
      rows = [];
    }
    this.batch.take(rows);
  }

  // Have these rows whole soon.
  need(rows) {
    for (const row of rows) {
      if (!row || isWhole(row)) continue;
      const n = this.pieceOf(row.place);
      if (this.asked.has(n)) continue;
      this.asked.add(n);
      this.load("rows", n).then((whole) => this.batch.fill(this.pairs(whole)), this.trouble);
    }
  }

  pairs(whole) {
    return whole.map((row) => [this.batch.byRow.get(row.id), row]);
  }

  // Have the words of all rows at hand while *isWanted*, and tell how far that is.
  async search(isWanted, progressed) {
    if (this.searching || this.share === 1) return;
    this.searching = true;
    let said = performance.now();
    for (const last = this.starts.rows.length - 1; this.searched < last && isWanted(); this.searched += 1) {
      await this.load("rows", this.searched).then((rows) => this.batch.learnWords(rows), this.trouble);
      if (performance.now() - said < SAY_EVERY) continue;
      progressed();
      said = performance.now();
    }
    this.searching = false;
    progressed();
  }

  // How much of the words is at hand, from 0 to 1.
  get share() {
    return this.searched / Math.max(this.starts.rows.length - 1, 1);
  }

  pieceOf(place) {
    const { rows } = this.starts;
    let [low, high] = [0, rows.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (rows[middle] <= place) low = middle;
      else high = middle;
    }
    return low;
  }

  async load(kind, n) {
    const name = `${kind}-${n}`;
    const script = el("script", { src: `pieces/${name}.js` });
    try {
      await new Promise((resolve, reject) => {
        script.addEventListener("load", resolve);
        script.addEventListener("error", () => reject(new Error(`${script.src} cannot be read: a report is a whole folder`)));
        document.head.append(script);
      });
      return window.pieces[name];
    } finally {
      delete window.pieces[name];
      script.remove();
    }
  }
}
