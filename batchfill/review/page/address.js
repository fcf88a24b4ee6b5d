// What the page's address remembers, behind its #: the open row, the place on the wall, and what is filtered by.

import { EVERYTHING, SORTS } from "./search.js";

// Browsers take a few hundred changes of an address a minute.
const NOTED_AFTER = 300;

let noted = null;
let due = 0;

// Return { row, at, asked }; what the address does not say, or what no page wrote, is null or as at first.
export function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const asked = { ...EVERYTHING };
  for (const name of Object.keys(asked)) asked[name] = told.get(name) ?? asked[name];
  if (!(asked.sort in SORTS)) asked.sort = EVERYTHING.sort;
  return { row: told.get("row"), at: told.get("at"), asked };
}

// Have the address say this soon, or at once.
export function noteAddress({ row, at, asked }, { now = false } = {}) {
  noted = new URLSearchParams();
  const parts = { row, at: row ? null : at, ...asked };
  for (const [name, value] of Object.entries(parts)) if (value && value !== EVERYTHING[name]) noted.set(name, value);
  clearTimeout(due);
  if (now) write();
  else due = setTimeout(write, NOTED_AFTER);
}

function write() {
  const hash = String(noted);
  history.replaceState(null, "", location.pathname + location.search + (hash && `#${hash}`));
}
