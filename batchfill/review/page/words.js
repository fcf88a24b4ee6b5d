// Numbers, money, times and states in words.

const NUMBERS = new Intl.NumberFormat("en-US");

export const STATES = {
  done: "done",
  pending: "waiting",
  submitting: "being sent",
  running: "running",
  collecting: "being fetched",
  failed: "failed",
  canceled: "canceled",
  expired: "expired",
  in_doubt: "in doubt",
};

export const DECISIONS = { approved: "approved", rejected: "rejected", redo: "to redo" };

export function count(number, noun, nouns = `${noun}s`) {
  return `${NUMBERS.format(number)} ${number === 1 ? noun : nouns}`;
}

export function figure(number) {
  return NUMBERS.format(number);
}

export function money(amount, currency) {
  if (amount === null || amount === undefined) return "unknown";
  const text = amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
  return currency === "USD" ? `$${text}` : `${text} ${currency}`;
}

export function duration(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60 ? `${whole % 60} s` : ""}`.trim();
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function clock(moment, { seconds = false } = {}) {
  const parts = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
  return new Date(moment).toLocaleTimeString([], parts);
}

export function day(moment) {
  return new Date(moment).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
