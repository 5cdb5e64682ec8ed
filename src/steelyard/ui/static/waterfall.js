// Where the time of an answer went. The server measures durations; the order of the stages is
// known (cache; embed then dense, beside lexical; fuse, fetch and others; context), so each bar's start follows.

import { el } from "./dom.js";
import { formatMs } from "./text.js";

const SPECIAL = new Set(["cache", "context", "embed", "dense", "lexical", "search", "first_token", "generate", "total"]);

/**
 * Place the stages: `bars` [{stage, start, ms}] up to the writing, `ready` when the passages
 * were there, `first` the first visible token, `total`. All in ms from the question; `first` and
 * `total` are null where the server measured none. `search` is the server's own measure of all
 * stages together; what it has beyond them is `idle` (threads, waiting). `other` is time that
 * neither search nor writing claims.
 */
export function placeStages(timings) {
  const ms = (stage) => Math.max(0, Number(timings[stage] ?? 0));
  const bars = [];
  const place = (stage, start) => {
    if (stage in timings) bars.push({ stage, start, ms: ms(stage) });
  };
  const begin = ms("cache");
  place("cache", 0);
  place("embed", begin);
  place("dense", begin + ms("embed"));
  place("lexical", begin);
  let at = begin + Math.max(ms("embed") + ms("dense"), ms("lexical"));
  for (const stage of Object.keys(timings).filter((name) => !SPECIAL.has(name))) {
    place(stage, at);
    at += ms(stage);
  }
  const searched = Math.max(at, begin + ms("search"));
  place("context", searched);
  const ready = searched + ms("context");
  const claimed = ready + ms("generate");
  const total = "total" in timings ? Math.max(ms("total"), ready) : null;
  const first = "first_token" in timings ? ms("first_token") : null;
  return { bars, ready, idleFrom: at, idle: searched - at, first, total, generate: "generate" in timings ? ms("generate") : null, other: total === null ? 0 : Math.max(0, total - claimed) };
}

const percent = (value, whole) => `${whole > 0 ? Math.min(100, (100 * value) / whole) : 0}%`;

function bar(start, length, whole, kind) {
  const node = el("i", { class: `bar ${kind}` });
  node.style.left = percent(start, whole);
  node.style.width = percent(length, whole);
  return node;
}

function row(name, start, ms, whole, kind) {
  return el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "track" }, bar(start, ms, whole, kind)), el("td", { class: "num" }, formatMs(ms)));
}

function table(caption, rows) {
  return el("table", { class: "waterfall" }, el("caption", {}, caption), el("tbody", {}, rows));
}

export const STAGE_NAMES = { cache: "look in the cache", embed: "embed the question", dense: "search by meaning", lexical: "search by words", fuse: "fuse", fetch: "fetch passages", rerank: "rerank", context: "fit the context", search: "find passages", first_token: "first token", generate: "write the answer", total: "total" };

/** Draw the timings; `seenMs` is when this browser showed the first token, null if unknown. */
export function waterfall(timings, seenMs) {
  const { bars, ready, idle, idleFrom, first, total, generate, other } = placeStages(timings);
  const whole = total ?? Math.max(ready + (generate ?? 0), first ?? 0);
  const search = bars.map(({ stage, start, ms }) => row(STAGE_NAMES[stage] ?? stage.replaceAll("_", " "), start, ms, ready, stage === "lexical" ? "beside" : "stage"));
  if (search.length && idle > 0.02 * ready) search.push(row("in no stage", idleFrom, idle, ready, "other"));
  const answer = [row("find passages", 0, ready, whole, "stage")];
  if (generate !== null) answer.push(row("write the answer", ready, generate, whole, "write"));
  if (other > Math.max(0.5, 0.02 * whole)) answer.push(row("in no stage", whole - other, other, whole, "other"));
  if (first !== null) answer.push(row("first token after", 0, first, whole, "mark"));
  if (seenMs !== null) answer.push(row("seen here after", 0, seenMs, Math.max(whole, seenMs), "mark"));
  if (total !== null) answer.push(row("total", 0, total, whole, "total"));
  return el(
    "div",
    { class: "timings" },
    search.length ? table(`Finding passages, ${formatMs(ready)}`, search) : null,
    table(`The whole answer, ${formatMs(whole)}`, answer),
  );
}
