// The batch as this page knows it: the head, the rows, and what was decided here that the rows do not tell yet.

const NONE = [];

// States without pictures from which a redo leads on.
const ENDED = new Set(["failed", "canceled", "expired"]);

// What rows are filtered and sorted by.
const FOUND_BY = ["line", "state", "decision", "cost", "run_time", "ended_at"];

export class Batch extends EventTarget {
  constructor() {
    super();
    this.head = null;
    this.rows = [];
    this.byRow = new Map();
    this.made = new Map();
  }

  // Take in a head and all rows instead of all that was known.
  replace({ rows, ...head }) {
    const ids = new Set(rows.map(({ id }) => id));
    this.update({ ...head, rows, gone: [...this.byRow.keys()].filter((id) => !ids.has(id)) });
  }

  // Take in a head and rows, or an event with the rows that changed.
  update({ rows, gone = [], ...head }) {
    this.head = head;
    this.take(rows, gone);
  }

  // Take in rows, some of which may be told briefly.
  take(rows, gone = []) {
    const { head } = this;
    for (const id of gone) this.byRow.delete(id);
    for (const row of rows) this.byRow.set(row.id, row.isBrief ? this.briefly(row) : prepared(row));
    this.rows = inOrder([...this.byRow.values()]);
    for (const { id } of rows) if (this.made.has(id)) this.showMade(id);
    this.forget(({ n, saved }) => saved && n <= head.noted);
    this.changed();
  }

  // What was known whole stays known, as it was then.
  briefly(row) {
    const old = this.byRow.get(row.id);
    if (!old) return prepared(row);
    const { text, hasWords, seed, inputs, columns } = old;
    if (old.isBrief) return { ...prepared(row), text, hasWords, seed, inputs, columns };
    const told = { ...old.told, decision: row.decision ?? null };
    return { ...old, ...row, ...told, told, isBrief: false, isOld: true };
  }

  // Make rows whole that are known briefly, or as they were: objects of this batch by their whole rows.
  fill(pairs) {
    let isOther = false;
    for (const [row, whole] of pairs) {
      // What was told of it meanwhile is later.
      if (this.byRow.get(row.id) !== row) continue;
      prepared(whole);
      isOther ||= this.made.has(row.id) || foundBy(row) !== foundBy(whole);
      Object.assign(row, whole, whole.told, { isBrief: false, isOld: false, filled: (row.filled ?? 0) + 1 });
      if (this.made.has(row.id)) this.showMade(row.id);
    }
    if (isOther) this.changed();
    else this.dispatchEvent(new Event("filled"));
  }

  // Know rows that are known briefly by their words, too.
  learnWords(rows) {
    for (const told of rows) {
      const row = this.byRow.get(told.id);
      if (!row?.isBrief) continue;
      const { seed, inputs, columns } = told;
      Object.assign(row, { text: wordsOf(told), hasWords: true, seed, inputs, columns });
    }
  }

  changed() {
    const missed = this.missed();
    this.dispatchEvent(new Event("change"));
    if (missed.length) this.dispatchEvent(new CustomEvent("missed", { detail: missed }));
  }

  // A row as it was decided here, or else as it is told.
  row(id) {
    return this.byRow.get(id);
  }

  // Have a row show the last decision about it, in place: of many thousands, no copies are made.
  showMade(id) {
    const row = this.byRow.get(id);
    if (!row) return;
    const last = this.madeAbout(row).at(-1);
    const now = last ? shown(last.ruling) : row.told;
    Object.assign(row, now, { unsaved: Boolean(last && !last.saved), filled: (row.filled ?? 0) + 1 });
  }

  // What the disk has, as far as this page knows.
  savedDecision(row) {
    if (!this.made.has(row.id)) return row.decision ?? null;
    const saved = this.madeAbout(row).findLast((decision) => decision.saved);
    return saved ? saved.ruling.decision : row.told.decision;
  }

  // Show decisions: { n, id, ruling, saved } each.
  add(decisions) {
    for (const decision of decisions) {
      const { id } = decision;
      this.made.set(id, [...this.made.get(id) ?? NONE, decision]);
      this.showMade(id);
    }
    this.dispatchEvent(new Event("change"));
  }

  // Decisions were saved, or refused.
  settle(decisions, refused) {
    for (const decision of decisions) decision.saved = true;
    for (const { id } of decisions) this.showMade(id);
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
      return row?.prediction_id === made[0].ruling.prediction_id && !own.some((one) => alike(one, rulingOf({ ...row, ...row.told })));
    }).flatMap(([, made]) => made);
    this.forget((decision) => overtaken.includes(decision));
    this.dispatchEvent(new Event("change"));
    return overtaken;
  }

  // Approvals of pictures that were made again meanwhile, as it turns out now.
  missed() {
    const found = [...this.made.values()].flat().filter(({ id, ruling, missed }) => {
      const row = this.byRow.get(id);
      return row && isWhole(row) && row.prediction_id !== ruling.prediction_id && ruling.decision === "approved" && !missed;
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
      if (!made.some(isOver)) continue;
      const left = made.filter((decision) => !isOver(decision));
      if (left.length) this.made.set(id, left);
      else this.made.delete(id);
      this.showMade(id);
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
  return ["decision", "chosen", "prompt", "seed", "inputs"].every(
    (name) => JSON.stringify(one[name] ?? null) === JSON.stringify(other[name] ?? null));
}

// Sort rows by their lines; mostly they are.
function inOrder(rows) {
  const isSorted = rows.every((row, n) => n === 0 || rows[n - 1].line <= row.line);
  return isSorted ? rows : rows.sort((one, other) => one.line - other.line);
}

function foundBy(row) {
  return JSON.stringify([...FOUND_BY.map((name) => row[name] ?? null), [...row.flags].sort()]);
}

// Whether all is known of a row, as it is told now.
export function isWhole(row) {
  return !row.isBrief && !row.isOld;
}

function prepared(row) {
  row.outputs ??= [];
  row.earlier ??= [];
  row.flags ??= [...new Set(row.outputs.flatMap((output) => output.flags ?? []))];
  row.text = wordsOf(row);
  // What the server tells of decisions, whatever is decided here.
  row.told = { decision: row.decision ?? null, chosen: row.chosen ?? null, redo: row.redo };
  return row;
}

function wordsOf({ id, prompt = "", columns = {} }) {
  return [id, prompt, ...Object.values(columns)].join(" ").toLowerCase();
}

// The output that counts: the chosen one, or the first.
export function chosenOutput(row) {
  return row.outputs.find((output) => output.n === row.chosen) ?? row.outputs[0];
}

// Whether a row can be decided about so: pictures are judged, and what the service made none of may be made again.
export function isDecidable(row, decision) {
  return row.outputs.length > 0 || (decision === "redo" && ENDED.has(row.state) && Boolean(row.prediction_id));
}

// A decision about a row, for the output that counts where it has several.
export function rulingFor(row, decision, more = {}) {
  const several = decision === "approved" && row.outputs.length > 1;
  return { decision, chosen: several ? chosenOutput(row).n : row.chosen, ...more };
}
