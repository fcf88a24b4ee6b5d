// Starting the redo from the page: what it would do is counted first, and asked about with its cost.

import { byId } from "./dom.js";
import { say } from "./notices.js";
import { confirmed } from "./question.js";
import { count, duration, money } from "./words.js";

const MILLIONTHS = 1e6;

export class Runs {
  // *command* returns what a person would enter; *failed* hears in words why nothing was started.
  constructor({ link, desk, command, failed }) {
    Object.assign(this, { link, desk, command, failed });
    this.isAsking = false;
    this.button = byId("run");
    this.button.addEventListener("click", () => this.start());
  }

  // Offer to run what is to be made again: so many rows.
  offer(rows, isRunning) {
    this.button.hidden = !(this.link.canStart && rows && !isRunning);
    this.button.textContent = `Run the redo of ${count(rows, "row")} …`;
  }

  async start() {
    if (this.isAsking) return;
    this.isAsking = this.button.disabled = true;
    try {
      await this.ask();
    } catch (error) {
      this.failed(error.message);
    } finally {
      this.isAsking = this.button.disabled = false;
    }
  }

  async ask() {
    if (this.desk.unsaved.length) {
      say(`${count(this.desk.unsaved.length, "decision")} not saved yet: try again in a moment`);
      return;
    }
    say("counting what a run would make");
    const plan = await this.link.plan();
    if (!plan.rows) {
      say("nothing is left to be made");
      return;
    }
    if (!await this.isAgreed(plan)) return;
    await this.link.startRun(plan);
    say("the run has begun; batchfill stop ends it");
  }

  isAgreed(plan) {
    const [rows, price] = [count(plan.rows, "row"), priceOf(plan)];
    const kept = `The pictures of today are kept. It goes on when this page is closed, as ${this.command()} does.`;
    const note = [`With ${plan.model} at ${plan.provider}.`, noteOf(plan).join(" "), kept, ...plan.notes].join("\n");
    // Who presses Enter twice has agreed to nothing.
    return confirmed({
      title: `Make ${rows} for ${price}?`, note, yes: `Make ${rows}`, look: "redo", isCareful: true,
    });
  }
}

// All that a terminal would say before the first payment.
function noteOf({ rows, again, pictures, open, seconds, cost, currency }) {
  const amount = (units) => money(units, currency);
  const made = (cost.spent ?? 0) + (cost.reserved ?? 0);
  return [
    rows > again && again > 0 && `${count(again, "row")} to make again, and ${count(rows - again, "row")} that ${rows - again === 1 ? "has" : "have"} no picture yet.`,
    `${count(pictures, "picture")}${seconds === null ? "" : `, about ${duration(Math.ceil(seconds))}`}.`,
    open && `${count(open, "row")} sent earlier and still open.`,
    made > 0 && `So far ${amount(made)}.`,
    cost.cap !== null && `At most ${amount(cost.cap)} in all.`,
  ].filter(Boolean);
}

function priceOf({ price, currency, rehearsal }) {
  if (rehearsal) return "nothing, as a rehearsal";
  return price === null ? "an unknown price" : `about ${money(price / MILLIONTHS, currency)}`;
}
