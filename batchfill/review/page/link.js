// Where the batch comes from: the server that this page was opened at, or the files next to it.

import { Pieces } from "./pieces.js";

const SILENT = "the page's server does not answer";
const ANOTHER = "another review has begun at this address";
const ANSWERED_WITHIN = 15_000;

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
    this.element = element;
  }

  async start(batch, { failed }) {
    const { pieces, ...head } = JSON.parse(this.element.textContent);
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
    this.page = "";
    this.searched = 1;
  }

  // Every row is whole from the beginning.
  need() {}

  search() {}

  // Read the batch and follow it. *lost* hears why that is not possible, and "" when it is again; *moved*, that it
  // is another server that answers.
  async start(batch, { lost, moved }) {
    Object.assign(this, { batch, lost, moved });
    // The key in the address has done its work.
    history.replaceState(null, "", location.pathname + location.hash);
    await this.load();
    this.follow();
  }

  async load() {
    const { page, folder, ...whole } = await (await this.ask(`batch.json?page=${this.page}`)).json();
    if (this.folder && folder !== this.folder) throw new Error(`another batch is at this address now: ${folder}`);
    const isAnother = this.page && page !== this.page;
    [this.page, this.folder] = [page, folder];
    this.batch.replace(whole);
    if (isAnother) this.moved();
  }

  follow() {
    const events = new EventSource(`events?since=${this.batch.head.edition}&page=${this.page}`);
    events.onmessage = (event) => this.batch.update(JSON.parse(event.data));
    events.onerror = () => {
      events.close();
      this.find();
    };
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
      method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: body.length <= KEPT_ALIVE,
      signal: closing ? null : AbortSignal.timeout(ANSWERED_WITHIN),
    });
    const answer = await response.json();
    // It counted by the numbers of then.
    if (page !== this.page) throw new Error(ANOTHER);
    return answer;
  }

  async ask(path, options) {
    const response = await fetch(path, options).catch(() => { throw new Error(SILENT); });
    if (response.status === 403 && this.page) throw new Error(ANOTHER);
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    return response;
  }
}
