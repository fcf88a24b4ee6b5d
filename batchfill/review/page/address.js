// What the page's address remembers, behind its #: the open row, the place on the wall, and what is filtered by.

import { CHOSEN, EVERYTHING } from "./search.js";

// Browsers take a few hundred changes of an address a minute.
const NOTED_AFTER = 300;

let noted = null;
let due = 0;
// What the page itself read or wrote last: anything else was entered meanwhile, and is about to be heard.
let known = "";

// Return { row, at, asked }; what the address does not say, or what no page wrote, is null or as at first.
export function readAddress() {
  clearTimeout(due);
  known = location.hash;
  const told = new URLSearchParams(known.slice(1));
  const asked = { ...EVERYTHING };
  for (const name of Object.keys(asked)) asked[name] = told.get(name) ?? asked[name];
  for (const [name, choices] of Object.entries(CHOSEN)) if (!(asked[name] in choices)) asked[name] = EVERYTHING[name];
  return { row: told.get("row"), at: told.get("at"), asked };
}

// Have the address say this soon, or at once. An open row is an entry of its own in the browser's history.
export function noteAddress({ row, at, asked }, { now = false } = {}) {
  noted = { row, at: row ? null : at, ...asked };
  clearTimeout(due);
  if (now) writeAddress();
  else due = setTimeout(writeAddress, NOTED_AFTER);
}

// Whether the browser went back from a row to the wall beneath it.
export function isWentBack() {
  return Boolean(history.state?.isBeneath);
}

function writeAddress() {
  if (location.hash !== known) return;
  const isOver = Boolean(history.state?.isOver);
  if (noted.row && !isOver) {
    history.replaceState({ isBeneath: true }, "", addressOf({ ...noted, row: null, at: noted.row }));
    history.pushState({ isOver: true }, "", addressOf(noted));
  } else history.replaceState({ isOver }, "", addressOf(noted));
  known = location.hash;
}

function addressOf(parts) {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(parts)) if (value && value !== EVERYTHING[name]) told.set(name, value);
  const hash = String(told);
  return location.pathname + location.search + (hash && `#${hash}`);
}
