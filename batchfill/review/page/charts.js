// Small drawings of how the night went.

import { el, svg } from "./dom.js";
import { clock, count, duration, money } from "./words.js";

const WIDTH = 240;
const HEIGHT = 56;

export function throughput(course) {
  const perMinute = course.done.map((done) => (done / course.step) * 60);
  const peak = Math.max(...perMinute);
  return chart(
    "Rows a minute", `at most ${rounded(peak)}`,
    `${count(sum(course.done), "row")} succeeded and ${count(sum(course.failed), "attempt")} came to nothing`,
    [...bars(perMinute, peak), ...marks(course.failed)], times(course),
  );
}

export function runTimes(times_) {
  const most = Math.max(...times_.counts);
  return chart(
    "Run times", `half within ${duration(times_.median)}`,
    `Half of the rows took less than ${duration(times_.median)}, 19 of 20 less than ${duration(times_.slow)}`,
    bars(times_.counts, most), ["0 s", `${duration(times_.step * times_.counts.length)} and more`],
  );
}

export function spending(course, cost) {
  const last = course.spent.at(-1);
  const top = Math.max(last, 1e-9);
  const x = (n) => (n / course.spent.length) * WIDTH;
  const points = course.spent.map((spent, n) => `L${x(n + 1)} ${HEIGHT - (spent / top) * (HEIGHT - 2)}`);
  return chart(
    "Spent", money(last, cost.currency),
    `${money(last, cost.currency)} in the end`,
    [
      svg("path", { class: "area", d: `M0 ${HEIGHT} ${points.join(" ")} L${WIDTH} ${HEIGHT} Z` }),
      svg("path", { class: "line", d: `M0 ${HEIGHT} ${points.join(" ")}` }),
    ],
    times(course),
  );
}

function chart(title, remark, described, shapes, [from, to]) {
  return el("figure", {},
    el("figcaption", {}, el("b", {}, title), " ", remark),
    svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${described}`,
    }, ...shapes),
    el("div", { class: "axis", "aria-hidden": "true" }, el("span", {}, from), el("span", {}, to)),
  );
}

function bars(values, most) {
  const each = WIDTH / values.length;
  return values.map((value, n) => {
    const height = most ? (value / most) * HEIGHT : 0;
    return svg("rect", { x: n * each, y: HEIGHT - height, width: Math.max(each - 1, 0.5), height });
  });
}

// Where attempts failed: a line on the ground, whatever their number.
function marks(failed) {
  const each = WIDTH / failed.length;
  return failed.map((number, n) => number > 0 &&
    svg("rect", { class: "failed", x: n * each, y: HEIGHT - 3, width: Math.max(each - 1, 0.5), height: 3 }));
}

function times(course) {
  const begun = Date.parse(course.begun_at);
  const seconds = course.step < 60;
  return [clock(begun, { seconds }), clock(begun + course.step * course.done.length * 1000, { seconds })];
}

function rounded(number) {
  return number < 10 ? Number(number.toFixed(1)) : Math.round(number).toLocaleString("en-US");
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
