// The page: one batch, the wall, a window for one row, and the keyboard.

import { isWentBack, noteAddress, readAddress } from "./address.js";
import { Batch, isDecidable, rulingFor } from "./batch.js";
import { Bulk } from "./bulk.js";
import { Desk } from "./desk.js";
import { Detail } from "./detail.js";
import { byId } from "./dom.js";
import { Filters } from "./filters.js";
import { listen } from "./keys.js";
import { openLink } from "./link.js";
import { say, showAlert, stayOnTop } from "./notices.js";
import { RedoDialog } from "./redo.js";
import { Runs } from "./runs.js";
import { matching } from "./search.js";
import { Selection } from "./selection.js";
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
const selection = new Selection({ changed: showSelection, act });
const runs = new Runs({
  link, desk, command: redoCommand, failed: (why) => { desk.failed.set("not started", why); showSaving(); },
});
const bulk = new Bulk({ batch, link, desk, redo, selection, command: redoCommand });
const wall = new Wall({
  press: pressRow, tick: link.canDecide ? tickRow : null, selection, choose: (id, n) => choose(batch.row(id), n), need: (rows) => link.need(rows), ahead: link.ahead,
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
  beside: () => detail.isOpen && detail.beside(),
  full: () => detail.isOpen && detail.zoom.toggleFull(),
  loupe: () => detail.isOpen && detail.magnify(),
  toMask: () => detail.isOpen && detail.zoom.toggleMask(),
  zoom: (key) => detail.isOpen && detail.zoom.step(key),
  approve: () => decide("approved"),
  reject: () => decide("rejected"),
  redo: askForRedo,
  tick: () => wall.row() && !detail.isOpen && selection.toggle(wall.row().id),
  extendLeft: () => extend(-1, 0),
  extendRight: () => extend(1, 0),
  extendUp: () => extend(0, -1),
  extendDown: () => extend(0, 1),
  selectAll: () => !detail.isOpen && selection.select(wall.rows),
  clear: () => !detail.isOpen && selection.size > 0 && selection.clear(),
  undecided: goToUndecided,
  choose: (n) => choose(wall.row(), n),
  undo,
  search: () => { detail.close(); filters.focus(); },
  help: () => byId("help").showModal(),
};

function act(name, value) {
  return ACTIONS[name](value);
}

function show() {
  const decided = batch.rows.filter((row) => row.state === "done" && batch.savedDecision(row)).length;
  showTotals(batch.head, decided);
  showRows();
}

function showRows() {
  const { rows } = batch;
  const found = matching(rows, filters.asked);
  if (filters.asked.words) link.search(() => filters.asked.words, showRows);
  const { decisions } = filters.offerWhatIs(rows, found.length, link.searched);
  runs.offer(decisions.get("redo") ?? 0, batch.head?.running);
  wall.resize(filters.asked.size);
  selection.keep(found);
  wall.show(found);
  selection.draw(found.length);
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

// The browser gives the keyboard back to the card from which the window was opened; it goes to that of the last row,
// unless a person has taken it elsewhere before this is told.
function leaveRow(id) {
  // The address closed it, and names another place.
  if (id !== opened) return;
  opened = null;
  const place = placeOf(id);
  const isElsewhere = Boolean(document.activeElement?.closest("input, select, textarea, dialog"));
  wall.go(place >= 0 ? place : wall.current, { focus: !isElsewhere });
  note({ now: true });
}

function note(when) {
  const here = { row: opened, at: wall.current ? wall.row()?.id : null };
  noteAddress({ ...(wanted ?? here), asked: filters.asked }, when);
}

// Open what the address names, or go there, as soon as it is known.
function findWanted() {
  const { row, at } = wanted;
  const isWhole = batch.rows.length >= batch.head.counts.total;
  const [known, place] = [row && batch.row(row), at ? placeOf(at) : 0];
  if (!(isWhole || known || (!row && place >= 0))) return;
  wanted = null;
  if (known) openRow(row);
  else {
    opened = null;
    closeWindows();
    if (row) say(`there is no row ${row}`);
    wall.go(Math.max(place, 0), { focus: false });
  }
}

// Back closes the picture; any other address counts in all its parts.
function openAddressed() {
  const told = readAddress();
  if (!isWentBack()) {
    wanted = told;
    filters.use(wanted.asked);
  } else if (detail.isOpen) closeWindows();
  else note({ now: true });
}

function closeWindows() {
  for (const window of document.querySelectorAll("dialog[open]")) window.close();
}

function pressRow(id, event) {
  if (link.canDecide && (event.ctrlKey || event.metaKey || event.shiftKey)) tickRow(id, event);
  else openRow(id);
}

// The keyboard goes where the pointer was.
function tickRow(id, { shiftKey }) {
  const from = wall.current;
  wall.go(placeOf(id));
  if (shiftKey) selection.extend(wall.rows, wall.current, from);
  else selection.toggle(id);
}

function extend(columns, lines) {
  if (detail.isOpen) return move(columns, lines);
  const from = wall.current;
  wall.step(columns, lines);
  return selection.extend(wall.rows, wall.current, from);
}

function showSelection() {
  wall.draw();
  selection.draw(wall.rows.length);
}

function goToUndecided() {
  const isOpen = (row) => row.state === "done" && !row.decision;
  const next = wall.rows.findIndex((row, place) => place > wall.current && isOpen(row));
  const place = next >= 0 ? next : wall.rows.findIndex(isOpen);
  if (place >= 0) go(place);
  else say("every picture shown is decided");
}

function move(columns, lines) {
  if (detail.isOpen) go(wall.current + (columns || lines));
  else wall.step(columns, lines);
}

function go(place) {
  wall.go(place, { focus: !detail.isOpen });
  if (detail.isOpen && wall.row()) openRow(wall.row().id);
}

function decide(decision) {
  if (isAboutMany()) bulk.decide(decision);
  else decideOne(decision);
}

function decideOne(decision, more = {}, row = current()) {
  if (!row || !canBeDecided(row, decision)) return;
  const place = placeOf(row.id);
  desk.rule([[row, rulingFor(row, decision, more)]], DECISIONS[decision]);
  // On to the next row, which under some filters has come to this one's place.
  if (place >= 0) go(wall.rows[place]?.id === row.id ? place + 1 : place);
}

async function askForRedo() {
  if (isAboutMany()) {
    await bulk.decide("redo");
    return;
  }
  const row = current();
  if (!row || !canBeDecided(row, "redo")) return;
  const asked = await redo.ask([row], redoCommand());
  // About the pictures that were asked about, whatever has come to this place meanwhile.
  if (asked) decideOne("redo", asked, row);
}

function redoCommand() {
  return `batchfill run ${batch.head.manifest} --retry redo`;
}

function isAboutMany() {
  return !detail.isOpen && selection.size > 0;
}

function choose(row, n) {
  if (!row?.outputs.some((output) => output.n === n)) return;
  const { decision = null, prediction_id } = row;
  if (link.canDecide) desk.rule([[row, { ...row.redo, decision, chosen: n }]], `output ${n}`);
  else batch.add([{ n: Infinity, id: row.id, ruling: { prediction_id, decision, chosen: n }, saved: true }]);
}

function undo() {
  const id = desk.undo();
  const place = placeOf(id);
  if (place >= 0) go(place);
}

function canBeDecided(row, decision) {
  const isPossible = isDecidable(row, decision);
  if (!isPossible) say(row.isBrief ? `${row.id} is not loaded yet` : whyNot(row, decision));
  return isPossible;
}

function whyNot(row, decision) {
  const again = row.state === "failed" && `: batchfill run ${batch.head.manifest} --retry failed makes it again`;
  return decision === "redo" ? `${row.id} has nothing to redo${again || ""}` : `${row.id} has no picture to judge`;
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
  const command = `batchfill review ${batch.head.manifest} ${link.again}`;
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
