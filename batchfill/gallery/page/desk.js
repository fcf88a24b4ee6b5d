// Decisions: shown at once, counted once they are on disk, and taken back in the order in which they were made.

export class Desk {
  constructor(batch, link, say) {
    this.batch = batch;
    this.link = link;
    this.say = say;
    this.made = [];
    this.last = Promise.resolve();
  }

  rule(row, { decision = null, chosen = null, ...redo }, said) {
    const ruling = { prediction_id: row.prediction_id, decision, chosen, ...redo };
    const before = {
      prediction_id: row.prediction_id, decision: row.decision ?? null, chosen: row.chosen ?? null, ...row.redo,
    };
    this.made.push([row.id, before]);
    return this.save(row.id, ruling, said);
  }

  // Take the last decision back, and return the id of its row.
  undo() {
    const [id, before] = this.made.pop() ?? [];
    if (id) this.save(id, before, `${id}: taken back`);
    else this.say("nothing to undo");
    return id;
  }

  save(id, ruling, said) {
    const { prompt, seed, ...shown } = ruling;
    this.batch.expect(id, { ...shown, redo: { prompt, seed }, unsaved: true });
    // One after the other: what was decided last must count.
    this.last = this.last.then(() => this.send(id, ruling, said));
    return this.last;
  }

  async send(id, ruling, said) {
    try {
      await this.link.decide([ruling]);
      this.say(said);
      const expected = this.batch.expected.get(id);
      if (expected) this.batch.expect(id, { ...expected, unsaved: false });
    } catch (error) {
      this.batch.expect(id, null);
      this.say(`${id}: not saved: ${error.message}`);
    }
  }
}
