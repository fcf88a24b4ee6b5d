// Where the batch comes from: the server that this page was opened at, or this very file.

const ENDED = "The page's server has ended. Start `batchfill review` again; every decision shown is saved.";

export function openLink() {
  const embedded = document.getElementById("batch");
  return embedded ? new Embedded(embedded) : new Served();
}

// A report: a file that cannot take decisions.
class Embedded {
  constructor(element) {
    this.canDecide = false;
    this.element = element;
  }

  async start(batch) {
    batch.update(JSON.parse(this.element.textContent));
    this.element.remove();
  }
}

class Served {
  constructor() {
    this.canDecide = true;
  }

  async start(batch, lost) {
    // The key in the address has done its work.
    history.replaceState(null, "", location.pathname + location.hash);
    const whole = await (await this.ask("batch.json")).json();
    batch.update(whole);
    const events = new EventSource(`events?since=${whole.edition}`);
    events.onmessage = (event) => batch.update(JSON.parse(event.data));
    events.onopen = () => lost("");
    events.onerror = () => lost(ENDED);
  }

  // Returns once the decisions are on disk.
  async decide(rulings) {
    const headers = { "Content-Type": "application/json" };
    await this.ask("decisions", { method: "POST", headers, body: JSON.stringify(rulings) });
  }

  async ask(path, options) {
    const response = await fetch(path, options);
    if (!response.ok) throw new Error((await response.text()) || response.statusText);
    return response;
  }
}
