// The batch as this page knows it: the head, the rows, and decisions that are on their way to the disk.

export class Batch extends EventTarget {
  constructor() {
    super();
    this.head = null;
    this.rows = [];
    this.expected = new Map();
    this.byRow = new Map();
  }

  // Take in the whole JSON, or an event with the rows that changed.
  update({ rows, gone = [], ...head }) {
    this.head = head;
    for (const id of gone) this.byRow.delete(id);
    for (const row of rows) {
      this.byRow.set(row.id, prepared(row));
      if (agree(row, this.expected.get(row.id))) this.expected.delete(row.id);
    }
    this.rows = [...this.byRow.values()].sort((one, other) => one.line - other.line);
    this.dispatchEvent(new Event("change"));
  }

  row(id) {
    const row = this.byRow.get(id);
    const expected = this.expected.get(id);
    return row && expected ? { ...row, ...expected } : row;
  }

  // Show a decision before the batch tells of it; null: what the batch tells counts again.
  expect(id, ruling) {
    if (ruling === null) this.expected.delete(id);
    else this.expected.set(id, ruling);
    this.dispatchEvent(new Event("change"));
  }
}

// Whether a row is as it was expected, or not what was decided about any more.
function agree(row, expected) {
  return expected && (row.prediction_id !== expected.prediction_id ||
    ((row.decision ?? null) === expected.decision && (row.chosen ?? null) === expected.chosen));
}

function prepared(row) {
  row.outputs ??= [];
  row.earlier ??= [];
  row.flags = [...new Set(row.outputs.flatMap((output) => output.flags ?? []))];
  row.text = `${row.id} ${row.prompt ?? ""}`.toLowerCase();
  return row;
}

// The output that counts: the chosen one, or the first.
export function chosenOutput(row) {
  return row.outputs.find((output) => output.n === row.chosen) ?? row.outputs[0];
}
