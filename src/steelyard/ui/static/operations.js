// Operations: how the last minutes went, by stage. Refreshes while it is looked at.

import { ApiError, advice, getOperations } from "./api.js";
import { columns, decadeAbove, range, shares, sparkline } from "./charts.js";
import { el, fill } from "./dom.js";
import { formatCount, formatMs, plural } from "./text.js";
import { STAGE_NAMES, waterfall } from "./waterfall.js";

const POLL_MS = 2000;
const KEPT = 60; // readings in a sparkline: two minutes
const ORDER = ["cache", "embed", "dense", "lexical", "fuse", "fetch", "rerank", "search", "context", "first_token", "generate", "total"];
const CACHE = [["exact", "same question before"], ["semantic", "same meaning before"], ["miss", "not in the cache"], ["off", "cache off"]];
const SPANS = [[60, "the last minute"], [300, "the last 5 minutes"]];

export function mountOperations(root) {
  const view = makeParts(root);
  const history = new Map(); // name -> the last readings, null where there was none
  let timer = null;
  let asking = null;
  let visible = false;

  view.span.addEventListener("change", () => {
    history.clear();
    poll();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : visible && poll()));

  function rest() {
    clearTimeout(timer);
    asking?.abort();
  }

  async function poll() {
    rest();
    const here = (asking = new AbortController());
    let again = true;
    try {
      const told = await getOperations(Number(view.span.value), { signal: here.signal, background: true });
      if (here !== asking) return;
      remember(told);
      view.draw(told, history);
      fill(view.problem);
    } catch (error) {
      if (error.name === "AbortError" || here !== asking) return;
      again = error.code !== "forbidden";
      view.fail(error, poll);
      if (!(error instanceof ApiError)) reportError(error);
    }
    if (visible && !document.hidden && again) timer = setTimeout(poll, POLL_MS);
  }

  function remember(told) {
    const now = Object.fromEntries(told.stages.map(({ stage, p95 }) => [stage, p95]));
    now["in flight"] = told.in_flight;
    now["loop lag"] = told.loop_lag.p99;
    now.memory = told.rss_mb;
    for (const name of new Set([...history.keys(), ...Object.keys(now)])) {
      const readings = history.get(name) ?? Array(KEPT).fill(null);
      history.set(name, [...readings.slice(1), now[name] ?? null]);
    }
  }

  return {
    show() {
      visible = true;
      poll();
    },
    hide() {
      visible = false;
      rest();
      history.clear();
    },
    focus: () => view.span.focus(),
    escape: () => false,
  };
}

function makeParts(root) {
  const span = el("select", { "aria-label": "Time span" }, SPANS.map(([seconds, name]) => el("option", { value: seconds }, name)));
  const problem = el("div");
  const empty = el("div", { class: "empty" });
  const tiles = el("dl", { class: "tiles" });
  const stages = el("div");
  const typical = el("div");
  const panels = el("div", { class: "panels" });
  const slow = makeSlow();
  const served = el("div");
  let drawServed = null; // once its module is here
  const facts = el("dl", { class: "facts" });
  const body = el("div", { class: "operations-body", hidden: true }, tiles, empty, stages, typical, panels, slow.node, served, el("h2", {}, "What is running"), facts);
  root.append(el("div", { class: "operations" }, el("div", { class: "row" }, el("h1", {}, "Operations"), el("span", { class: "grow" }), span), problem, body));

  function draw(told, history) {
    body.hidden = false;
    const rows = inOrder(told.stages);
    const answers = Object.values(told.answers).reduce((all, num) => all + num, 0);
    fill(tiles, tileList(told, history, answers));
    fill(empty, rows.length ? null : [el("h2", {}, `No questions in ${spanName(span)}`), el("p", { class: "muted" }, el("a", { href: "#/ask" }, "Ask one"), ", and its stages show here within two seconds.")]);
    fill(stages, rows.length ? stageTable(rows, history) : null);
    fill(typical, answers ? typicalAnswer(rows) : null);
    fill(panels, panelList(told));
    slow.draw(told.slow);
    fill(facts, factList(told));
    serves(told.serving);
  }

  async function serves(serving) {
    if (!serving) return;
    if (drawServed === null) {
      drawServed = () => {};
      const made = (await import("./served.js")).makeServed();
      fill(served, made.node);
      drawServed = made.draw;
    }
    drawServed(serving);
  }

  function fail(error, retry) {
    const why = error.code === "forbidden" ? "Use an operator's key: forget this one under About, then come back." : advice(error);
    fill(problem, el("div", { class: "notice bad", role: "alert" }, el("strong", {}, error.message), " ", why, error.code === "forbidden" ? null : el("div", { class: "row" }, el("button", { type: "button", class: "quiet", on: { click: retry } }, "Try now"))));
  }

  return { span, problem, draw, fail };
}

const spanName = (span) => SPANS.find(([seconds]) => seconds === Number(span.value))[1];

function inOrder(stages) {
  const rank = (stage) => (ORDER.includes(stage) ? ORDER.indexOf(stage) : ORDER.indexOf("rerank") + 0.5);
  return [...stages].sort((a, b) => rank(a.stage) - rank(b.stage));
}

function tileList(told, history, answers) {
  const first = told.stages.find(({ stage }) => stage === "first_token");
  const hits = (told.cache.exact ?? 0) + (told.cache.semantic ?? 0);
  const rejected = told.admission.rejected ?? 0;
  const tile = (name, value, note, readings, bad = false) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, el("strong", { class: "num" }, value), el("span", { class: bad ? "small error-text" : "small muted" }, note), readings ? sparkline(readings) : null));
  return [
    tile("First token, p95", first ? formatMs(first.p95) : "–", first ? `p50 ${formatMs(first.p50)}` : "no answer yet", history.get("first_token")),
    tile("Answers", formatCount(answers), told.answers.error ? `${formatCount(told.answers.error)} failed` : "none failed", null, told.answers.error > 0),
    tile("From the cache", answers && told.cache.off !== answers ? `${Math.round((100 * hits) / answers)} %` : "–", hits ? plural(hits, "answer") : "no hits", null),
    tile("In flight", formatCount(told.in_flight), rejected ? `${formatCount(rejected)} turned away` : "none turned away", history.get("in flight"), rejected > 0),
    tile("Event loop lag, p99", formatMs(told.loop_lag.p99), `worst ${formatMs(told.loop_lag.max)}`, history.get("loop lag"), told.loop_lag.p99 > 50),
    tile("Memory", told.rss_mb === null ? "–" : `${formatCount(Math.round(told.rss_mb))} MB`, `up ${duration(told.uptime_s)}`, history.get("memory")),
  ];
}

function stageTable(rows, history) {
  const most = decadeAbove(Math.max(...rows.map(({ p99 }) => p99)));
  const head = ["Stage", "Count", "p50", "p95", "p99", "Worst", "p50 to p99", "p95 lately"];
  const kinds = ["", "num wide", "num", "num", "num", "num wide", "graph", "graph wide"];
  return el("table", { class: "stage-table" },
    el("caption", {}, "Stages", el("span", { class: "small muted wide" }, ` from 0.1 ms to ${formatMs(most).replace(/\.0+ /, " ")}, ten times more at each line; the mark is p95`)),
    el("thead", {}, el("tr", {}, head.map((name, i) => el("th", { scope: "col", class: kinds[i] }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", { "data-stage": row.stage },
      el("th", { scope: "row" }, STAGE_NAMES[row.stage] ?? row.stage.replaceAll("_", " ")),
      el("td", { class: "num wide" }, formatCount(row.count)),
      ["p50", "p95", "p99"].map((name) => el("td", { class: "num" }, formatMs(row[name]))),
      el("td", { class: "num wide" }, formatMs(row.max)),
      el("td", { class: "graph" }, range(row, most)),
      el("td", { class: "graph wide" }, sparkline(history.get(row.stage) ?? []))))));
}

function typicalAnswer(rows) {
  const medians = Object.fromEntries(rows.map(({ stage, p50 }) => [stage, p50]));
  return el("section", {}, el("h2", {}, "A typical answer"), el("p", { class: "small muted" }, "Made of each stage's median, which need not add up."), waterfall(medians, null));
}

function panelList(told) {
  const panel = (name, ...content) => el("section", { class: "panel" }, el("h2", {}, name), content);
  const nothing = (text) => el("p", { class: "small muted" }, text);
  const cached = CACHE.map(([kind, name]) => ({ kind, name, value: told.cache[kind] ?? 0 }));
  const batches = Object.entries(told.batches).filter(([, one]) => one.count);
  const queues = Object.entries(told.queues);
  const degraded = Object.entries(told.degraded);
  const admitted = told.admission.admitted ?? 0;
  const rejected = told.admission.rejected ?? 0;
  return [
    panel("Cache", cached.some(({ value }) => value) ? shares(cached) : nothing("No answers yet.")),
    panel("Admission", admitted + rejected ? shares([{ kind: "exact", name: "let in", value: admitted }, { kind: "bad", name: "turned away", value: rejected }]) : nothing("No requests yet.")),
    panel("Batches", batches.length ? batches.map(([model, one]) => [el("p", { class: "small muted" }, `${model}: ${plural(one.count, "batch", "batches")}, ${one.mean.toFixed(1)} items each`), columns(Object.entries(one.sizes).map(([name, value]) => ({ name, value })))]) : nothing("None yet.")),
    panel("Queues", queues.length ? el("ul", { class: "legend" }, queues.map(([name, { now, max }]) => el("li", {}, name, el("span", { class: "num" }, `${now} waiting`), el("span", { class: "num muted" }, `at most ${max}`)))) : nothing("Nothing has waited.")),
    panel("Left out", degraded.length ? el("ul", { class: "legend" }, degraded.map(([part, num]) => el("li", {}, part, el("span", { class: "num" }, formatCount(num))))) : nothing(admitted ? "Nothing: every answer had all of its parts." : "Nothing yet.")),
  ];
}

/** The slowest questions; an open one stays open and keeps the focus while the list refreshes. */
function makeSlow() {
  const list = el("ul", { class: "slow" });
  const node = el("section", { hidden: true }, el("h2", {}, "The slowest"), list);
  const known = new Map();
  let shown = "";

  function item(one) {
    const total = el("span", { class: "num" }, formatMs(one.timings_ms.total ?? 0));
    const hit = ["exact", "semantic"].includes(one.cache) ? [`${one.cache} hit`] : [];
    const more = [...hit, ...one.degraded.map((part) => `without ${part}`)].join(", ");
    return el("li", {}, el("details", {}, el("summary", {}, total, el("span", { class: "asked" }, one.question || one.id), el("span", { class: "small muted" }, more)), waterfall(one.timings_ms, null)));
  }

  return {
    node,
    draw(slow) {
      node.hidden = slow.length === 0;
      const ids = slow.map(({ id }) => id).join();
      if (ids === shown) return;
      shown = ids;
      const focused = document.activeElement;
      for (const id of known.keys()) if (!slow.some((one) => one.id === id)) known.delete(id);
      for (const one of slow) if (!known.has(one.id)) known.set(one.id, item(one));
      list.replaceChildren(...slow.map(({ id }) => known.get(id)));
      if (focused && list.contains(focused)) focused.focus({ preventScroll: true });
    },
  };
}

function factList(told) {
  const behind = Math.max(0, told.truth - told.snapshot);
  const { open, oldest_s: oldest } = told.ingest;
  const rows = [
    ["Bundle", el("code", {}, told.bundle)],
    ["Answered by", told.generator],
    ["Snapshot", `${told.snapshot}, ${behind ? `${plural(behind, "change")} behind` : "up to date"}`],
    ["Documents on their way", open ? `${formatCount(open)}, the oldest for ${duration(oldest)}` : "none"],
  ];
  return rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
