// The batch as this page knows it: the head, the rows, and what was decided here that the rows do not tell yet.

const NONE = [];

export class Batch extends EventTarget {
  constructor() {
    super();
    this.head = null;
    this.rows = [];
    this.byRow = new Map();
    this.made = new Map();
  }

  // Take in the whole JSON instead of all that was known.
  replace(whole) {
    this.byRow.clear();
    this.update(whole);
  }

  // Take in the whole JSON, or an event with the rows that changed.
  update({ rows, gone = [], ...head }) {
    this.head = head;
    this.take(rows, gone);
  }

  take(rows, gone = []) {
    const { head } = this;
    for (const id of gone) this.byRow.delete(id);
    for (const row of rows) this.byRow.set(row.id, prepared(row));
    this.rows = [...this.byRow.values()].sort((one, other) => one.line - other.line);
    const missed = this.missed();
    this.forget(({ n, saved }) => saved && n <= head.noted);
    this.dispatchEvent(new Event("change"));
    if (missed.length) this.dispatchEvent(new CustomEvent("missed", { detail: missed }));
  }

  // Make rows whole that are known briefly: what they are found and sorted by stays as it is.
  fill(rows) {
    for (const row of rows) Object.assign(this.byRow.get(row.id), prepared(row), { isBrief: false });
    this.dispatchEvent(new Event("filled"));
  }

  // Know rows that are known briefly by their words, too.
  learnWords(rows) {
    for (const row of rows) this.byRow.get(row.id).text = wordsOf(row);
  }

  // The row as it was decided here, or else as it is told.
  row(id) {
    const row = this.byRow.get(id);
    const last = this.madeAbout(row).at(-1);
    if (!last) return row;
    // The same object as long as nothing changes, so that nothing is drawn again for it.
    if (last.told !== row) [last.told, last.row] = [row, { ...row, ...shown(last.ruling), unsaved: !last.saved }];
    return last.row;
  }

  // All rows, each as it was decided here, or else as it is told.
  current() {
    return this.made.size ? this.rows.map((row) => this.made.has(row.id) ? this.row(row.id) : row) : this.rows;
  }

  // What the disk has, as far as this page knows.
  savedDecision(row) {
    const saved = this.madeAbout(row).filter((decision) => decision.saved).at(-1);
    return saved ? saved.ruling.decision : row.decision ?? null;
  }

  // Show a decision: { n, id, ruling, saved }.
  add(decision) {
    this.made.set(decision.id, [...this.made.get(decision.id) ?? [], decision]);
    this.dispatchEvent(new Event("change"));
  }

  // Decisions were saved, or refused.
  settle(decisions, refused) {
    for (const decision of decisions) Object.assign(decision, { saved: true, told: null });
    this.forget(({ n, saved }) => refused.has(n) || (saved && n <= this.head.noted));
    this.dispatchEvent(new Event("change"));
  }

  // The batch is told by another server now. Return the decisions that are not saved and count no more, since
  // their rows were decided otherwise meanwhile; what this page itself decided may have reached the disk.
  forgetOvertaken() {
    this.forget(({ saved }) => saved);
    const overtaken = [...this.made].filter(([id, made]) => {
      const row = this.byRow.get(id);
      const own = made.flatMap(({ before, ruling }) => [before, ruling]);
      return row?.prediction_id === made[0].ruling.prediction_id && !own.some((one) => alike(one, rulingOf(row)));
    }).flatMap(([, made]) => made);
    this.forget((decision) => overtaken.includes(decision));
    this.dispatchEvent(new Event("change"));
    return overtaken;
  }

  // Approvals of pictures that were made again meanwhile, as it turns out now.
  missed() {
    const found = [...this.made.values()].flat().filter(({ id, ruling, missed }) => {
      const row = this.byRow.get(id);
      return row && row.prediction_id !== ruling.prediction_id && ruling.decision === "approved" && !missed;
    });
    for (const decision of found) decision.missed = true;
    return found;
  }

  madeAbout(row) {
    const made = row && this.made.get(row.id);
    return made ? made.filter(({ ruling }) => ruling.prediction_id === row.prediction_id) : NONE;
  }

  forget(isOver) {
    for (const [id, made] of this.made) {
      const left = made.filter((decision) => !isOver(decision));
      if (left.length) this.made.set(id, left);
      else this.made.delete(id);
    }
  }
}

// What was decided about a row, as it is sent.
export function rulingOf({ prediction_id, decision = null, chosen = null, redo }) {
  return { prediction_id, decision, chosen, ...redo };
}

function shown({ prediction_id, decision, chosen, ...redo }) {
  return { decision, chosen, redo };
}

function alike(one = {}, other) {
  return ["decision", "chosen", "prompt", "seed"].every((name) => (one[name] ?? null) === (other[name] ?? null));
}

function prepared(row) {
  row.outputs ??= [];
  row.earlier ??= [];
  row.flags ??= [...new Set(row.outputs.flatMap((output) => output.flags ?? []))];
  row.text = wordsOf(row);
  return row;
}

function wordsOf({ id, prompt = "" }) {
  return `${id} ${prompt}`.toLowerCase();
}

// The output that counts: the chosen one, or the first.
export function chosenOutput(row) {
  return row.outputs.find((output) => output.n === row.chosen) ?? row.outputs[0];
}
