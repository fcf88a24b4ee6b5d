// Where the batch comes from: the server that this page was opened at, or the files next to it.

import { isWhole } from "./batch.js";
import { haveNoViews } from "./picture.js";
import { Pieces, SAY_EVERY, briefRow } from "./pieces.js";

const SILENT = "the page's server does not answer";
const ANOTHER = "another review has begun at this address";
const ANSWERED_WITHIN = 15_000;

// Rows that are shown as soon as they are read.
const FIRST_ROWS = 1000;
const FIRST_SEEN = 100;

// Rows in a request, as the server has it.
const MOST_ROWS = 1000;

// Rows of an event that are taken in before a key is heard.
const TAKEN_AT_ONCE = 1500;

// Bytes of the decisions in a request. Of a page that closes, browsers let 64 KiB go on: the request that is on its
// way, and one more.
export const MOST_BYTES = 30_000;
const KEPT_ALIVE = 32_000;

export function openLink() {
  const embedded = document.getElementById("batch");
  return embedded ? new Embedded(embedded) : new Served();
}

// Milliseconds to wait before something is tried again.
export function backOff(tries) {
  return Math.min(500 * 2 ** tries, 15_000);
}

export function bytes(text) {
  return new TextEncoder().encode(text);
}

// A report: files that cannot take decisions.
class Embedded {
  constructor(element) {
    this.canDecide = false;
    this.canStart = false;
    // A piece holds many rows.
    this.ahead = 0;
    this.element = element;
  }

  async start(batch, { failed }) {
    const { pieces, size, ...head } = JSON.parse(this.element.textContent);
    if (size === "small") haveNoViews();
    this.element.remove();
    this.pieces = new Pieces(pieces, { batch, trouble: (error) => failed(error.message) });
    batch.update({ ...head, rows: [] });
    await this.pieces.readIndex();
  }

  need(rows) {
    this.pieces.need(rows);
  }

  search(isWanted, progressed) {
    this.pieces.search(isWanted, progressed);
  }

  // How much of what is searched is at hand.
  get searched() {
    return this.pieces.share;
  }
}

class Served {
  constructor() {
    this.canDecide = true;
    // Known with the head: a page on another device starts nothing.
    this.canStart = false;
    this.ahead = 60;
    this.page = "";
    this.asked = new Set();
    this.words = 0;
  }

  // Have these rows whole soon.
  async need(rows) {
    const known = rows.map((row) => row && this.batch.byRow.get(row.id));
    const wanted = known.filter((row) => row && !isWhole(row) && !this.asked.has(row));
    for (const row of wanted) this.asked.add(row);
    await this.fill(wanted).catch(() => {
      // They are asked for again when the server answers, and all is read again.
      for (const row of wanted) this.asked.delete(row);
    });
  }

  // Return when the rows with these ids are whole, as far as they are there. Throws where the server does not answer.
  async complete(ids) {
    await this.fill(ids.map((id) => this.batch.byRow.get(id)).filter((row) => row && !isWhole(row)));
  }

  // Some at a time: what is made of an answer takes no longer than a key may wait.
  async fill(rows) {
    for (let n = 0; n < rows.length; n += MOST_ROWS) await this.fillSome(rows.slice(n, n + MOST_ROWS));
  }

  // A row that is not told is gone, which an event is about to say: it is not asked for again.
  async fillSome(rows) {
    const whole = await this.wholeOf(rows);
    const told = rows.filter(({ id }) => whole.has(id));
    for (const row of told) this.asked.delete(row);
    if (told.length) this.batch.fill(told.map((row) => [row, whole.get(row.id)]));
  }

  // Return rows whole, MOST_ROWS at most, by their ids.
  async wholeOf(rows) {
    const body = JSON.stringify(rows.map(({ id }) => id));
    const whole = await (await this.ask("rows", posted(body))).json();
    return new Map(whole.map((row) => [row.id, row]));
  }

  // Have the words of all rows at hand while *isWanted*, and tell how far that is.
  async search(isWanted, progressed) {
    if (this.words || this.searched === 1) return;
    // Until the first line comes nothing else asks.
    this.words = Number.MIN_VALUE;
    try {
      await this.learnWords(isWanted, progressed);
      this.words = 0;
      progressed();
    } catch {
      // The next letter asks again.
      this.words = 0;
    }
  }

  async learnWords(isWanted, progressed) {
    let said = performance.now();
    for await (const line of linesOf(await this.ask("words.jsonl"))) {
      if (!isWanted()) return;
      const rows = Object.entries(JSON.parse(line));
      this.batch.learnWords(rows.map(([id, words]) => ({ id, ...words })));
      this.words += rows.length;
      if (performance.now() - said < SAY_EVERY) continue;
      progressed();
      said = performance.now();
    }
    // What is in no line is gone, or new and on its way.
    this.batch.learnWords(this.batch.rows.filter((row) => row.isBrief && !row.hasWords));
  }

  // How much of what is searched is at hand.
  get searched() {
    const { rows } = this.batch;
    if (this.words) return Math.min(this.words / rows.length, 0.99);
    return rows.every((row) => !row.isBrief || row.hasWords) ? 1 : 0;
  }

  // Read the batch and follow it. *lost* hears why that is not possible, and "" when it is again; *moved*, that it
  // is another server that answers.
  async start(batch, { lost, moved }) {
    Object.assign(this, { batch, lost, moved });
    // The key in the address has done its work.
    history.replaceState(history.state, "", location.pathname + location.hash);
    const { page, head, rows } = await this.open();
    this.page = page;
    let [known, some] = [0, []];
    const show = async () => {
      // To read rows and to show them are two tasks: a key is heard in between.
      await nextTask();
      batch.update({ ...head, rows: known ? some : await this.firstWhole(some) });
      known += some.length;
      some = [];
      await nextTask();
    };
    for await (const row of rows) {
      some.push(row);
      // Each time for twice as many: all that is shown is made again for it.
      if (some.length >= Math.max(known, FIRST_ROWS)) await show();
    }
    await show();
    this.follow();
  }

  // What is seen at first is shown when it is known whole.
  async firstWhole(rows) {
    const whole = await this.wholeOf(rows.slice(0, FIRST_SEEN)).catch(() => new Map());
    return rows.map((row) => whole.get(row.id) ?? row);
  }

  // Read all again.
  async load() {
    const { page, head, rows, isAnother } = await this.open();
    const all = [];
    for await (const row of rows) all.push(row);
    this.batch.replace({ ...head, rows: all });
    // What was decided here is held against what is told now.
    await this.fill([...this.batch.made.keys()].map((id) => this.batch.byRow.get(id)).filter(Boolean));
    // By this name decisions are taken, and none may go before it is known what was decided elsewhere.
    this.page = page;
    if (isAnother) this.moved();
  }

  // Ask for the head, and for the rows as they are known briefly.
  async open() {
    const { page, folder, fields, starts, again, ...head } = await (await this.ask(`head.json?page=${this.page}`, within())).json();
    if (this.folder && folder !== this.folder) throw new Error(`another batch is at this address now: ${folder}`);
    const isAnother = this.page && page !== this.page;
    Object.assign(this, { folder, fields, canStart: starts, again });
    return { page, head, rows: this.briefRows(await this.ask("index.jsonl")), isAnother };
  }

  async* briefRows(response) {
    for await (const line of linesOf(response)) {
      for (const entry of JSON.parse(line)) yield briefRow(this.fields, entry);
    }
  }

  follow() {
    const events = new EventSource(`events?since=${this.batch.head.edition}&page=${this.page}`);
    let before = Promise.resolve();
    events.onmessage = ({ data }) => { before = before.then(() => this.hear(events, data)); };
    events.onerror = () => {
      events.close();
      this.find();
    };
  }

  // Take in what changed, some rows at a time; the head last, as it says up to where rows hold what was decided here.
  async hear(events, data) {
    const { rows, brief = [], ...rest } = JSON.parse(data);
    const news = [...rows, ...brief.map((entry) => briefRow(this.fields, entry))];
    for (; news.length > TAKEN_AT_ONCE; await nextTask()) {
      // What was read whole meanwhile is later.
      if (events.readyState === EventSource.CLOSED) return;
      this.batch.take(news.splice(0, TAKEN_AT_ONCE));
    }
    if (events.readyState !== EventSource.CLOSED) this.batch.update({ ...rest, rows: news });
  }

  async find() {
    this.lost(SILENT);
    for (let tries = 0; ; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, backOff(tries)));
      try {
        await this.load();
        break;
      } catch (error) {
        this.lost(error.message);
      }
    }
    this.follow();
    this.lost("");
  }

  // Returns once the decisions, numbered from *first* on, are on disk: { saved: the last number, refused: { n: why } }.
  async decide(first, decisions, { closing }) {
    const { page } = this;
    const body = bytes(JSON.stringify({ page, first, decisions }));
    const response = await this.ask("decisions", {
      ...posted(body), keepalive: body.length <= KEPT_ALIVE, ...(closing ? {} : within()),
    });
    const answer = await response.json();
    // It counted by the numbers of then.
    if (page !== this.page) throw new Error(ANOTHER);
    return answer;
  }

  // Return what a run would do, without starting it. Throws in the words of the run.
  async plan() {
    return (await this.ask("plan", posted("{}"))).json();
  }

  // Start a run that does what was agreed to, and nothing else. Throws in the words of the run.
  async startRun({ rows, price }) {
    return (await this.ask("runs", posted(JSON.stringify({ rows, price })))).json();
  }

  async ask(path, options) {
    const response = await fetch(path, options).catch(() => { throw new Error(SILENT); });
    if (response.status === 403 && this.page) throw new Error(ANOTHER);
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    return response;
  }
}

// What answers no more without a word, as after a sleep of the machine, is asked again.
function within() {
  return { signal: AbortSignal.timeout(ANSWERED_WITHIN) };
}

function nextTask() {
  return new Promise((resolve) => setTimeout(resolve));
}

function posted(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body };
}

// The lines of an answer, as they come.
async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read().catch(() => { throw new Error(SILENT); });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines;
  }
}
