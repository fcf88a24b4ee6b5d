// What a manager reads first.

import { runTimes, spending, throughput } from "./charts.js";
import { byId, el } from "./dom.js";
import { STATES, count, duration, figure, money } from "./words.js";

// Of how it went, from which it is told how long it takes.
const LAST_STEPS = 4;
const OPEN = ["pending", "submitting", "running", "collecting"];

export function showTotals(head, decided) {
  document.title = `${head.manifest} · batchfill`;
  byId("name").textContent = head.manifest;
  showState(head);
  showProgress(head.counts);
  byId("figures").replaceChildren(...figures(head, decided).flatMap(([term, value, note]) => [
    el("div", {}, el("dt", {}, term), el("dd", {}, el("b", {}, value), note ? ` ${note}` : ""))]));
  showReasons(head);
  showCharts(head);
}

let drawn = null;

function showCharts(head) {
  if (drawn === head) return;
  drawn = head;
  const drawings = [
    head.course && throughput(head.course),
    head.run_times && runTimes(head.run_times),
    head.course && head.cost.spent !== null && spending(head.course, head.cost),
  ];
  byId("charts").replaceChildren(...drawings.filter(Boolean));
  byId("night").hidden = !head.course;
}

function showState(head) {
  const state = byId("state");
  const open = OPEN.some((name) => head.counts[name]);
  state.textContent = head.running ? "running" : open ? "not running, rows left" : "finished";
  state.className = `pill ${head.running ? "running" : ""}`;
  state.title = head.stopped_because ?? "";
}

function showProgress(counts) {
  const parts = Object.keys(STATES).filter((state) => counts[state]);
  const said = parts.map((state) => `${figure(counts[state])} ${STATES[state]}`).join(", ");
  const progress = byId("progress");
  progress.setAttribute("aria-label", said);
  progress.title = said;
  progress.replaceChildren(...parts.map((state) => {
    const part = el("span", { class: state });
    part.style.flexGrow = counts[state];
    return part;
  }));
}

function figures(head, decided) {
  const { counts, cost } = head;
  const open = OPEN.reduce((total, state) => total + counts[state], 0);
  const ofCap = cost.cap !== null ? `of at most ${money(cost.cap, cost.currency)}` : "";
  const lost = counts.expired + counts.in_doubt;
  const left = head.running && timeLeft(head.course, open);
  return [
    ["Done", figure(counts.done), `of ${count(counts.total, "row")}`],
    counts.failed && ["Failed", figure(counts.failed), share(counts.failed, counts.total)],
    counts.canceled && ["Canceled", figure(counts.canceled), share(counts.canceled, counts.total)],
    lost && ["Expired or in doubt", figure(lost), ""],
    open && ["To go", figure(open), cost.to_go ? `for ${money(cost.to_go, cost.currency)}` : ""],
    left && ["Time left", left, ""],
    ["Spent", money(cost.spent, cost.currency), cost.rehearsal ? "rehearsed, not charged" : ofCap],
    cost.per_picture !== null && ["A picture", money(cost.per_picture, cost.currency), ""],
    ["Time", duration(head.seconds), ""],
    ["Decided", figure(decided), `of ${figure(counts.done)}`],
  ].filter(Boolean);
}

// How long rows take that go on as the last ones did, where that can be told; the last step is not over yet.
function timeLeft(course, open) {
  const last = course?.done.slice(0, -1).slice(-LAST_STEPS) ?? [];
  const done = last.reduce((total, number) => total + number, 0);
  return open && done ? `about ${duration((open * last.length * course.step) / done)}` : "";
}

function showReasons(head) {
  const reasons = byId("reasons");
  reasons.hidden = !head.reasons.length && !head.stopped_because;
  const why = head.reasons.slice(0, 5).map(({ reason, rows }) => `${figure(rows)} × ${reason}`);
  const more = head.reasons.length > 5 ? ` · and ${count(head.reasons.length - 5, "more reason")}` : "";
  const stopped = head.stopped_because ? `Ended early: ${head.stopped_because}. ` : "";
  reasons.textContent = stopped + (why.length ? `Failed: ${why.join(" · ")}${more}` : "");
}

function share(part, whole) {
  const percent = (part / whole) * 100;
  return `${percent < 1 ? "under 1" : Math.round(percent)} %`;
}
