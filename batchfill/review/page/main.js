// The page: one batch, the wall, a window for one row, and the keyboard.

import { noteAddress, readAddress } from "./address.js";
import { Batch, chosenOutput } from "./batch.js";
import { Desk } from "./desk.js";
import { Detail } from "./detail.js";
import { byId } from "./dom.js";
import { Filters } from "./filters.js";
import { listen } from "./keys.js";
import { openLink } from "./link.js";
import { say, showAlert, stayOnTop } from "./notices.js";
import { RedoDialog } from "./redo.js";
import { matching } from "./search.js";
import { offerThemes } from "./theme.js";
import { showTotals } from "./totals.js";
import { DECISIONS, clock, count } from "./words.js";
import { Wall } from "./wall.js";

let away = "";
let heardAt = 0;
let wanted = readAddress();
let opened = null;
const batch = new Batch();
const link = openLink();
const desk = new Desk(batch, link, { say, changed: showSaving });
const redo = new RedoDialog();
const filters = new Filters(wanted.asked, () => { showRows(); note(); });
const wall = new Wall({
  open: openRow, choose: (id, n) => choose(batch.row(id), n), need: (rows) => link.need(rows), ahead: link.ahead,
  moved: () => { wanted = null; note(); },
});
const detail = new Detail({ canDecide: link.canDecide, act, closed: leaveRow });

const ACTIONS = {
  left: () => move(-1, 0),
  right: () => move(1, 0),
  up: () => move(0, -1),
  down: () => move(0, 1),
  first: () => go(0),
  last: () => go(wall.rows.length - 1),
  open: () => wall.row() && openRow(wall.row().id),
  compare: () => (detail.isOpen ? detail : wall).compare(),
  mask: () => (detail.isOpen ? detail : wall).mask(),
  full: () => detail.isOpen && detail.zoom.toggleFull(),
  toMask: () => detail.isOpen && detail.zoom.toggleMask(),
  zoom: (key) => detail.isOpen && detail.zoom.step(key),
  approve: () => decide("approved"),
  reject: () => decide("rejected"),
  redo: askForRedo,
  choose: (n) => choose(wall.row(), n),
  undo,
  search: () => { detail.close(); filters.focus(); },
  help: () => byId("help").showModal(),
};

function act(name, value) {
  ACTIONS[name](value);
}

function show() {
  const decided = batch.rows.filter((row) => row.state === "done" && batch.savedDecision(row)).length;
  showTotals(batch.head, decided);
  showRows();
}

function showRows() {
  const rows = batch.current();
  const found = matching(rows, filters.asked);
  if (filters.asked.words) link.search(() => filters.asked.words, showRows);
  filters.offerWhatIs(rows, found.length, link.searched);
  wall.show(found);
  const nothing = byId("nothing");
  nothing.hidden = found.length > 0;
  nothing.textContent = batch.rows.length ? "No row is like that." : "No rows yet.";
  if (wanted) findWanted();
  if (detail.isOpen) showDetail();
}

function showFilled() {
  wall.draw();
  if (detail.isOpen) showDetail();
}

// The window's row, which may be one that the filters do not show.
function showDetail() {
  const row = batch.row(opened) ?? wall.row();
  if (!row) return;
  const place = placeOf(row.id);
  link.need([row]);
  detail.show(row, { place: Math.max(place, 0), of: wall.rows.length, currency: batch.head.cost.currency });
}

function openRow(id) {
  const place = placeOf(id);
  opened = id;
  if (place >= 0) wall.go(place, { focus: false });
  note({ now: true });
  showDetail();
  const next = wall.rows.slice(place + 1, place + 3);
  link.need(next);
  detail.expect(next);
}

// The browser gives the keyboard back to the card from which the window was opened.
function leaveRow(id) {
  opened = null;
  const place = placeOf(id);
  wall.go(place >= 0 ? place : wall.current);
  note({ now: true });
}

function note(when) {
  noteAddress({ row: opened, at: wall.current ? wall.row()?.id : null, asked: filters.asked }, when);
}

// Open what the address names, or go there, as soon as it is known.
function findWanted() {
  const { row, at } = wanted;
  const isWhole = batch.rows.length >= batch.head.counts.total;
  const [known, place] = [row && batch.row(row), at ? placeOf(at) : -1];
  if (!(isWhole || known || place >= 0 || !(row || at))) return;
  wanted = null;
  if (known) openRow(row);
  else if (row) say(`there is no row ${row}`);
  else if (place >= 0) wall.go(place, { focus: false });
}

function openAddressed() {
  wanted = readAddress();
  filters.use(wanted.asked);
}

function move(columns, lines) {
  if (detail.isOpen) go(wall.current + (columns || lines));
  else wall.step(columns, lines);
}

function go(place) {
  wall.go(place, { focus: !detail.isOpen });
  if (detail.isOpen && wall.row()) openRow(wall.row().id);
}

function decide(decision, more = {}, row = current()) {
  if (!row || !canBeJudged(row)) return;
  const several = decision === "approved" && row.outputs.length > 1;
  const chosen = several ? chosenOutput(row).n : row.chosen;
  const place = placeOf(row.id);
  desk.rule(row, { decision, chosen, ...more }, `${row.id}: ${DECISIONS[decision]}`);
  // On to the next row, which under some filters has come to this one's place.
  if (place >= 0) go(wall.rows[place]?.id === row.id ? place + 1 : place);
}

async function askForRedo() {
  const row = current();
  if (!row || !canBeJudged(row)) return;
  const asked = await redo.ask(row, `batchfill run ${batch.head.manifest} --retry redo`);
  // About the pictures that were asked about, whatever has come to this place meanwhile.
  if (asked) decide("redo", asked, row);
}

function choose(row, n) {
  if (!row?.outputs.some((output) => output.n === n)) return;
  const { decision = null, prediction_id } = row;
  if (link.canDecide) desk.rule(row, { ...row.redo, decision, chosen: n }, `${row.id}: output ${n}`);
  else batch.add({ n: Infinity, id: row.id, ruling: { prediction_id, decision, chosen: n }, saved: true });
}

function undo() {
  const id = desk.undo();
  const place = placeOf(id);
  if (place >= 0) go(place);
}

function canBeJudged(row) {
  if (!row.outputs.length) say(row.isBrief ? `${row.id} is not loaded yet` : `${row.id} has no picture to judge`);
  return row.outputs.length > 0;
}

function placeOf(id) {
  return wall.rows.findIndex((row) => row.id === id);
}

// The window's row counts until the window is closed altogether.
function current() {
  return detail.row ?? wall.row();
}

// What is not on disk yet, or never will be, and why.
function showSaving() {
  const { trouble, failed } = desk;
  const unsaved = desk.unsaved.length;
  byId("saving").textContent = unsaved ? `${away || trouble ? "not saved:" : "saving"} ${unsaved}` : desk.number ? "all saved" : "";
  showAlert("lost", away ? whyAway(unsaved) : trouble && `${areNotSaved(unsaved)}, and tried again: ${trouble}`);
  showAlert("failed", [...failed].map(([id, why]) => `${id}: ${why}`).join("\n"));
}

function whyAway(unsaved) {
  const command = `batchfill review ${batch.head.manifest} --port ${location.port}`;
  return `${away[0].toUpperCase()}${away.slice(1)}. ${unsaved ? areNotSaved(unsaved) : "Every decision shown is saved"}. ` +
    `To go on here, start \`${command}\` and open its address in this browser. What is shown is of ${clock(heardAt)}.`;
}

function areNotSaved(unsaved) {
  return `${count(unsaved, "decision")} ${unsaved === 1 ? "is" : "are"} not saved`;
}

// Why the batch cannot be followed; "": it is.
function lost(why) {
  if (!away) heardAt = Date.now();
  away = why;
  if (!away) desk.goOn();
  showSaving();
}

offerThemes();
stayOnTop();
listen(act, link.canDecide);
byId("help-button").addEventListener("click", () => act("help"));
batch.addEventListener("change", show);
batch.addEventListener("filled", showFilled);
addEventListener("hashchange", openAddressed);
byId("failed").querySelector("button").addEventListener("click", () => {
  desk.failed.clear();
  showSaving();
});
link.start(batch, { lost, moved: () => desk.moved(), failed: (why) => showAlert("lost", why) })
  .catch((error) => showAlert("lost", error.message));
