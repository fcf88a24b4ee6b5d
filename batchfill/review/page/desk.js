// Decisions: shown at once, counted once they are on disk, and taken back in the order in which they were made.

import { rulingOf } from "./batch.js";
import { MOST_BYTES, backOff, bytes } from "./link.js";
import { count } from "./words.js";

const MOST_AT_ONCE = 500;

export class Desk {
  constructor(batch, link, { say, changed }) {
    Object.assign(this, { batch, link, say, changed });
    this.number = 0;
    this.made = [];
    this.unsaved = [];
    this.failed = new Map();
    this.trouble = "";
    this.sending = false;
    this.goOn = () => {};
    batch.addEventListener("missed", ({ detail }) => this.tell(detail, () => "the picture was made again after it was approved"));
    addEventListener("beforeunload", (event) => this.ask(event));
    addEventListener("pagehide", () => this.close());
  }

  // Decide about rows in one step: [row, { decision, chosen, … of a redo }] each; *word*: what became of them.
  rule(decided, word) {
    this.made.push(this.save(decided.map(([{ id, prediction_id }, { decision = null, chosen = null, ...redo }]) => ({
      id, ruling: { prediction_id, decision, chosen, ...redo },
    })), word));
  }

  // Take the last step back, and return the id of its first row.
  undo() {
    const step = this.made.pop();
    if (step) this.save(step.map(({ id, before }) => ({ id, ruling: before })), "taken back");
    else this.say("nothing to undo");
    return step?.[0].id;
  }

  save(step, word) {
    const decisions = step.map(({ id, ruling }) => {
      const row = this.batch.row(id);
      return { n: ++this.number, id, ruling, before: row && rulingOf(row), saved: false };
    });
    // Told once the disk has the whole step.
    decisions.at(-1).said = `${step.length === 1 ? step[0].id : count(step.length, "row")}: ${word}`;
    this.unsaved.push(...decisions);
    this.batch.add(decisions);
    this.send();
    return decisions;
  }

  // One request at a time, with all that waits: what was decided last must count.
  async send() {
    this.changed();
    if (this.sending) return;
    this.sending = true;
    let tries = 0;
    while (this.unsaved.length) {
      try {
        this.settle(await this.post());
        tries = 0;
      } catch (error) {
        this.trouble = error.message;
        this.changed();
        await this.pause(backOff(tries++));
      }
    }
    this.sending = false;
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      this.goOn = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  post({ closing = false } = {}) {
    const decisions = fitting(this.unsaved.slice(0, MOST_AT_ONCE));
    return this.link.decide(decisions[0].n, decisions.map(({ ruling }) => ruling), { closing });
  }

  // The answer came: every decision up to a number is on disk, but for those that were refused.
  settle({ saved, refused }) {
    const answered = this.unsaved.filter(({ n }) => n <= saved);
    this.unsaved = this.unsaved.filter(({ n }) => n > saved);
    this.trouble = "";
    const kept = answered.filter(({ n }) => !(n in refused));
    const lost = answered.filter(({ n }) => n in refused);
    for (const { id, missed } of kept) if (!missed) this.failed.delete(id);
    if (lost.length) this.forget(new Set(lost));
    this.batch.settle(kept, new Set(lost.map(({ n }) => n)));
    const told = kept.findLast(({ said }) => said);
    if (told) this.say(told.said);
    this.tell(lost, ({ n }) => `not saved: ${refused[n]}`);
  }

  // What was refused is nothing that could be taken back.
  forget(lost) {
    this.made = this.made.map((step) => step.filter((decision) => !lost.has(decision))).filter((step) => step.length);
  }

  // Keep in sight what became of decisions that came to nothing.
  tell(decisions, why) {
    for (const decision of decisions) this.failed.set(decision.id, why(decision));
    this.changed();
  }

  ask(event) {
    if (!this.unsaved.length) return;
    event.preventDefault();
    // For browsers that do not know the other way.
    event.returnValue = true;
  }

  // Send all that is not saved, what is on its way too: a number that comes twice counts once.
  close() {
    if (this.unsaved.length) this.post({ closing: true }).catch(() => {});
  }

  // Another server of the same batch answers, which knows nothing of what this page has sent.
  moved() {
    const overtaken = this.batch.forgetOvertaken();
    this.unsaved = this.unsaved.filter((decision) => !overtaken.includes(decision));
    for (const decision of this.unsaved) decision.n = ++this.number;
    this.tell(overtaken, () => "not saved: it was decided otherwise meanwhile");
  }
}

// As many of the first as one request may hold, and one at least.
function fitting(decisions) {
  let size = 0;
  const over = decisions.findIndex(({ ruling }) => (size += bytes(JSON.stringify(ruling)).length + 1) > MOST_BYTES);
  return over < 0 ? decisions : decisions.slice(0, Math.max(over, 1));
}
