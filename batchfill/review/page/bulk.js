// Deciding about all selected rows at once: one question, and one step to take back.

import { isDecidable, rulingFor } from "./batch.js";
import { say } from "./notices.js";
import { confirmed } from "./question.js";
import { DECISIONS, count } from "./words.js";

// Rows whose loading takes a moment.
const MUCH = 1000;
const VERBS = { approved: ["Approve", "approve"], rejected: ["Reject", "reject"] };

export class Bulk {
  // *command* returns what runs redos.
  constructor({ batch, link, desk, redo, selection, command }) {
    Object.assign(this, { batch, link, desk, redo, selection, command });
  }

  async decide(decision) {
    const ids = [...this.selection.ids];
    const rows = await this.load(ids);
    if (!rows) return;
    const judged = rows.filter((row) => isDecidable(row, decision) && (decision === "redo" || row.decision !== decision));
    if (!judged.length) {
      const already = decision === "redo" ? "" : ` that is not ${DECISIONS[decision]} already`;
      say(`none of ${count(ids.length, "row")} has a picture${already}`);
      return;
    }
    const more = await this.ask(decision, judged, ids.length);
    if (!more) return;
    // About the pictures that were asked about, whatever has come of the rows meanwhile.
    this.desk.rule(judged.map((row) => [row, rulingFor(row, decision, more)]), DECISIONS[decision]);
    this.selection.clear();
  }

  // Return the rows as they are now; null where the server does not tell.
  async load(ids) {
    if (ids.length > MUCH) say(`loading ${count(ids.length, "row")}`);
    try {
      await this.link.complete(ids);
    } catch (error) {
      say(`nothing was decided: ${error.message}`);
      return null;
    }
    return ids.map((id) => this.batch.row(id)).filter(Boolean);
  }

  // Return what else belongs to the decision, or null when it was called off.
  async ask(decision, judged, selected) {
    if (decision === "redo") return this.redo.ask(judged, this.command());
    const [verb, look] = VERBS[decision];
    const what = `${verb} ${count(judged.length, "row")}`;
    const note = [...notes(decision, judged, selected), "Z takes all of it back."].join(" ");
    return await confirmed({ title: `${what}?`, note, yes: what, look }) ? {} : null;
  }
}

function notes(decision, judged, selected) {
  const changed = judged.filter((row) => row.decision).length;
  const rest = selected - judged.length;
  return [
    changed && `${count(changed, "of them was", "of them were")} decided otherwise before.`,
    rest && `${count(rest, "more stays as it is", "more stay as they are")}: without a picture, or ${DECISIONS[decision]} already.`,
  ].filter(Boolean);
}
