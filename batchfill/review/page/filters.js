// The bar that says which rows are shown.

import { byId, el } from "./dom.js";
import { ANY_FLAG, CHOSEN, UNDECIDED } from "./search.js";
import { DECISIONS, STATES, figure } from "./words.js";

const SEARCHED = "Words of ids, prompts and x_ columns; or name:value with flag, decision, state, seed, line, id, an x_ column or " +
  "an input of the model. Quotes hold words together: x_client:\"acme corp\".";

export class Filters {
  constructor(asked, changed) {
    this.asked = { ...asked };
    this.changed = changed;
    this.words = el("input", {
      type: "search", id: "search", placeholder: "Search, or x_client:acme", title: SEARCHED, "aria-label": "Search ids, prompts and columns",
      "aria-keyshortcuts": "/", autocomplete: "off", spellcheck: "false",
      oninput: () => this.ask({ words: this.words.value }),
    });
    this.choices = {
      state: this.choice("state", "State"),
      flag: this.choice("flag", "Flag"),
      decision: this.choice("decision", "Decision"),
      sort: this.choice("sort", "Order"),
      size: this.choice("size", "Size of the pictures"),
    };
    this.shown = el("output", { id: "shown", for: "search" });
    this.form = byId("filters");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    // In a narrow window the choices are folded until they are asked for.
    this.fold = el("button", {
      type: "button", id: "fold", "aria-expanded": "false", "aria-controls": "choices", onclick: () => this.unfold(),
    });
    this.form.append(
      this.words, this.fold, el("div", { id: "choices", class: "choosing" }, ...Object.values(this.choices)), this.shown);
    for (const [choice, names] of Object.entries(CHOSEN)) {
      offer(this.choices[choice], Object.entries(names).map(([name, [label]]) => [name, label]));
    }
    this.mark();
  }

  // Ask for just this.
  use(asked) {
    Object.assign(this.asked, asked);
    this.mark();
    this.changed();
  }

  mark() {
    this.words.value = this.asked.words;
    for (const [name, select] of Object.entries(this.choices)) {
      select.value = this.asked[name];
      select.classList.toggle("active", this.isActive(name));
    }
    // What is folded away and leaves out rows is told.
    const active = Object.keys(this.choices).filter((name) => this.isActive(name)).length;
    this.fold.textContent = active ? `Filters (${active})` : "Filters";
    this.fold.classList.toggle("active", active > 0);
  }

  isActive(name) {
    return !(name in CHOSEN) && Boolean(this.asked[name]);
  }

  unfold() {
    this.fold.setAttribute("aria-expanded", String(this.fold.getAttribute("aria-expanded") !== "true"));
  }

  choice(name, label) {
    return el("select", {
      "aria-label": label, name, onchange: (event) => this.ask({ [name]: event.target.value }),
    });
  }

  ask(part) {
    Object.assign(this.asked, part);
    this.mark();
    this.changed();
  }

  // Offer what there is, with how many rows have it, and return that of decisions; *searched*: how much of the words
  // is at hand.
  offerWhatIs(rows, found, searched) {
    const [states, flags, decisions] = [new Map(), new Map(), new Map()];
    let flagged = 0;
    for (const row of rows) {
      tally(states, row.state);
      tally(decisions, row.decision ?? UNDECIDED);
      for (const flag of row.flags) tally(flags, flag);
      flagged += row.flags.length > 0;
    }
    this.offerCounted("state", "All states", STATES, states);
    this.offerCounted("flag", "All flags", { [ANY_FLAG]: "any flag", ...named(flags) },
      new Map([[ANY_FLAG, flagged], ...flags]));
    this.offerCounted("decision", "All decisions", { [UNDECIDED]: "undecided", ...DECISIONS }, decisions);
    const all = rows.length;
    const soFar = this.asked.words && searched < 1 ? `, ${Math.floor(searched * 100)} % searched` : "";
    this.shown.value = (found === all ? `${figure(all)} rows` : `${figure(found)} of ${figure(all)} rows`) + soFar;
    return { decisions };
  }

  offerCounted(name, all, words, counts) {
    const having = Object.entries(words).filter(([value]) => counts.get(value) || this.asked[name] === value);
    offer(this.choices[name], [["", all],
      ...having.map(([value, word]) => [value, `${word} (${figure(counts.get(value) ?? 0)})`])]);
    this.choices[name].value = this.asked[name];
  }

  focus() {
    this.words.focus();
    this.words.select();
  }
}

function offer(select, options) {
  const offered = JSON.stringify(options);
  // An open list must not be taken away from under the hand.
  if (select.dataset.offered === offered) return;
  select.dataset.offered = offered;
  select.replaceChildren(...options.map(([value, label]) => el("option", { value }, label)));
}

function tally(counts, value) {
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

function named(tally) {
  return Object.fromEntries([...tally.keys()].sort().map((flag) => [flag, flag.replaceAll("_", " ")]));
}
