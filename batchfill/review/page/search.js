// Which rows are shown, and in what order.

import { STATES } from "./words.js";

export const SORTS = {
  line: ["Manifest order", (one, other) => one.line - other.line],
  newest: ["Newest first", (one, other) => text(other.ended_at) - text(one.ended_at) || one.line - other.line],
  slowest: ["Slowest first", (one, other) => (other.run_time ?? -1) - (one.run_time ?? -1) || one.line - other.line],
  dearest: ["Dearest first", (one, other) => (other.cost ?? -1) - (one.cost ?? -1) || one.line - other.line],
  id: ["By id", (one, other) => (one.id < other.id ? -1 : 1)],
  flags: ["Flagged first", (one, other) => other.flags.length - one.flags.length || one.line - other.line],
};

// How large the pictures on the wall are: the least width of one, and how many lie in a row at least.
export const SIZES = {
  small: ["Small pictures", { least: 130, columns: 3 }],
  medium: ["Medium pictures", { least: 250, columns: 2 }],
  large: ["Large pictures", { least: 430, columns: 1 }],
};

export const EVERYTHING = { words: "", state: "", flag: "", decision: "", sort: "line", size: "medium" };

// What has to be one of these, as it is not a filter.
export const CHOSEN = { sort: SORTS, size: SIZES };

export const ANY_FLAG = "any";
export const UNDECIDED = "none";

export function matching(rows, asked) {
  const words = termsOf(asked.words);
  const found = rows.filter((row) => isAskedFor(row, asked, words));
  return asked.sort === "line" ? found : found.sort(SORTS[asked.sort][1]);
}

function isAskedFor(row, asked, words) {
  return (
    (!asked.state || row.state === asked.state) &&
    (!asked.flag || (asked.flag === ANY_FLAG ? row.flags.length > 0 : row.flags.includes(asked.flag))) &&
    (!asked.decision || (row.decision ?? UNDECIDED) === asked.decision) &&
    words.every((isMet) => isMet(row))
  );
}

// What `name:value` compares of a row, by the name.
const FIELDS = {
  id: (row, value) => row.id.toLowerCase().includes(value),
  line: (row, value) => String(row.line) === value,
  state: (row, value) => row.state.includes(value) || STATES[row.state].includes(value),
  flag: (row, value) => row.flags.some((flag) => flag.replaceAll("_", " ").includes(value.replaceAll("_", " "))),
  decision: (row, value) => (row.decision ?? UNDECIDED).includes(value),
  seed: (row, value) => String(row.seed ?? "") === value,
};

// Return what a row has to meet for each term: a word of its text, or `name:value`; quotes hold words together.
export function termsOf(words) {
  const terms = words.toLowerCase().match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
  return terms.map((term) => {
    const plain = term.replaceAll('"', "");
    const [, name, value] = /^(\w[\w-]*):(.*)$/s.exec(plain) ?? [];
    if (!name) return (row) => row.text.includes(plain);
    // What is being typed says nothing yet.
    if (!value) return (row) => name in FIELDS || name.startsWith("x_") || row.text.includes(plain);
    if (name in FIELDS) return (row) => FIELDS[name](row, value);
    return (row) => holds(row.columns, name, value) || holds(row.inputs, name, value) || row.text.includes(plain);
  });
}

function holds(values, wanted, value) {
  return Object.entries(values ?? {}).some(([name, held]) => (
    name.toLowerCase() === wanted && (typeof held === "number" ? String(held) === value : String(held).toLowerCase().includes(value))));
}

function text(moment) {
  return moment ? Date.parse(moment) : 0;
}
