// A finger on the picture: a swipe goes to the next one, a tap shows before and after by turns.

const FAR_ENOUGH = 50;
const STILL = 10;

// *isFree* tells whether the finger has nothing else to do, as moving a picture that is zoomed.
export function swipeable(element, { swiped, tapped, isFree }) {
  let from = null;
  element.addEventListener("pointerdown", (event) => {
    // A second finger has something else to do.
    const isOne = event.pointerType === "touch" && event.isPrimary && isFree();
    from = isOne ? { x: event.clientX, y: event.clientY } : null;
  });
  element.addEventListener("pointercancel", () => { from = null; });
  element.addEventListener("pointerup", (event) => {
    if (!from || !event.isPrimary) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    from = null;
    if (Math.hypot(x, y) < STILL) tapped();
    else if (Math.abs(x) > FAR_ENOUGH && Math.abs(x) > 2 * Math.abs(y)) swiped(x < 0 ? 1 : -1);
  });
}
