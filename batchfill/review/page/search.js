// Which rows are shown, and in what order.

export const SORTS = {
  line: ["Manifest order", (one, other) => one.line - other.line],
  newest: ["Newest first", (one, other) => text(other.ended_at) - text(one.ended_at) || one.line - other.line],
  slowest: ["Slowest first", (one, other) => (other.run_time ?? -1) - (one.run_time ?? -1) || one.line - other.line],
  dearest: ["Dearest first", (one, other) => (other.cost ?? -1) - (one.cost ?? -1) || one.line - other.line],
  id: ["By id", (one, other) => (one.id < other.id ? -1 : 1)],
  flags: ["Flagged first", (one, other) => other.flags.length - one.flags.length || one.line - other.line],
};

export const EVERYTHING = { words: "", state: "", flag: "", decision: "", sort: "line" };

export const ANY_FLAG = "any";
export const UNDECIDED = "none";

export function matching(rows, asked) {
  const words = asked.words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => isAskedFor(row, asked, words));
  return asked.sort === "line" ? found : found.sort(SORTS[asked.sort][1]);
}

function isAskedFor(row, asked, words) {
  return (
    (!asked.state || row.state === asked.state) &&
    (!asked.flag || (asked.flag === ANY_FLAG ? row.flags.length > 0 : row.flags.includes(asked.flag))) &&
    (!asked.decision || (row.decision ?? UNDECIDED) === asked.decision) &&
    words.every((word) => row.text.includes(word))
  );
}

function text(moment) {
  return moment ? Date.parse(moment) : 0;
}
