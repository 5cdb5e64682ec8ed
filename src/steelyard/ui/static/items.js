// The questions of a run, worst losses first, and what each arm did with one of them.

import { getItem, listItems, reportAddress } from "./api.js";
import { hasKey } from "./auth.js";
import { el, fill } from "./dom.js";

const PAGE = 50;
const ORDERS = [["loss", "worst losses first"], ["win", "biggest wins first"], ["change", "largest changes first"], ["set", "in the set's order"]];

export function makeItems(run) {
  const measure = el("select", { "aria-label": "Measure", on: { change: reload } }, run.measures.map((name) => el("option", { value: name, selected: name === run.quality[0] }, name)));
  const order = el("select", { "aria-label": "Order", on: { change: reload } }, ORDERS.map(([value, name]) => el("option", { value }, name)));
  const list = el("ol", { class: "items" });
  const more = el("button", { type: "button", class: "more", hidden: true, on: { click: () => load() } }, "Show more");
  const problem = el("p", { class: "error-text", role: "alert" });
  const lone = el("div", {}); // the question that an address names
  let pair = {};
  let next = null;
  let asking = 0;

  async function load() {
    const mine = asking;
    try {
      const page = await listItems(run.id, { ...pair, measure: measure.value, order: order.value, after: next, limit: PAGE });
      if (mine !== asking) return;
      next = page.next;
      list.append(...page.items.map((row) => itemRow(run, row)));
      more.hidden = next === null;
      fill(problem);
    } catch (error) {
      if (mine === asking) fill(problem, error.message);
    }
  }

  async function reload() {
    asking += 1;
    next = null;
    list.replaceChildren();
    await load();
  }

  function step(by) {
    const rows = [...list.querySelectorAll(":scope > li > details")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    if (!row) return;
    if (at >= 0) rows[at].open = false;
    row.open = true;
    row.querySelector("summary").focus();
    row.scrollIntoView({ block: "nearest" });
  }

  return {
    node: el("div", {}, lone, el("div", { class: "row" }, order, measure), problem, list, more),
    choose(values) {
      pair = values;
      return reload();
    },
    async open(question) {
      fill(lone, el("div", { class: "opened" }, await itemDetail(run, question))); // tells its own failures
      lone.scrollIntoView({ block: "start" });
    },
    key(name) {
      if (name !== "j" && name !== "k") return false;
      step(name === "j" ? 1 : -1);
      return true;
    },
  };
}

function itemRow(run, row) {
  const inside = el("div", {});
  const told = row.failed ? "failed" : row.delta === "–" && row.baseline === "–" ? row.value : row.delta;
  const details = el("details", { on: { toggle: show } },
    el("summary", {}, el("span", { class: `num delta ${row.failed ? "loss" : row.kind}` }, told), el("span", { class: "asked" }, row.text), row.type ? el("span", { class: "muted small" }, row.type) : null), inside);
  async function show() {
    if (details.open && !inside.hasChildNodes()) {
      fill(inside, el("p", { class: "muted" }, "Reading …"));
      fill(inside, await itemDetail(run, row.id));
    }
  }
  return el("li", {}, details);
}

async function itemDetail(run, id) {
  try {
    const item = await getItem(run.id, id);
    return [asked(run, item), el("div", { class: "arm-cards" }, item.arms.map((arm) => armCard(run, item, arm)))];
  } catch (error) {
    return el("p", { class: "error-text", role: "alert" }, error.message);
  }
}

function asked(run, item) {
  const gold = [...item.answers.slice(0, 5), ...(item.answers.length ? [] : item.gold.map(([, words]) => words).slice(0, 3))];
  return el("div", { class: "item-head" },
    el("p", { class: "item-question" }, item.text),
    gold.length ? el("p", { class: "small" }, el("b", {}, "Gold: "), gold.join(" / ")) : null,
    item.answerable === false ? el("p", { class: "small" }, "Not answerable from the documents.") : null,
    el("p", { class: "row small" }, el("a", { href: `#/ask?q=${encodeURIComponent(item.text)}` }, "Open in Ask"), hasKey() ? null : el("a", { href: `${reportAddress(run.id)}#q=${encodeURIComponent(item.id)}`, target: "_blank", rel: "noopener" }, "Open in the report"), el("a", { href: `#/lab?run=${encodeURIComponent(run.id)}&q=${encodeURIComponent(item.id)}` }, "Link"), el("span", { class: "muted" }, item.id)));
}

function armCard(run, item, arm) {
  const values = run.measures.map((name) => [name, arm.values[name]]).filter(([, value]) => value !== null && value !== undefined);
  return el("section", { class: "arm-card" }, el("h3", {}, arm.name),
    el("p", { class: "small muted" }, values.slice(0, 6).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`).join(" · ")),
    arm.error ? el("p", { class: "error-text small" }, `Failed: ${arm.error}`) : null,
    arm.answer ? el("p", { class: "item-answer" }, arm.answer.map(piece)) : null,
    arm.sources ? el("ol", { class: "item-sources" }, arm.sources.map((source) => sourceRow(item, source))) : null,
    !arm.sources && arm.ranked ? el("ol", { class: "item-sources" }, arm.ranked.slice(0, 10).map(([at, rank]) => rankRow(item, at, rank))) : null,
    arm.wall === null || arm.wall === undefined ? null : el("p", { class: "small muted num" }, `${arm.wall} ms`));
}

function piece(part) {
  if (typeof part === "string") return part;
  const [kinds, words] = part;
  return el("span", { class: [kinds.includes("u") && "unsupported", kinds.includes("c") && "cite still"].filter(Boolean).join(" "), title: kinds.includes("u") ? "No source supports this" : null }, words);
}

function sourceRow(item, source) {
  const passage = item.passages[source.at];
  return el("li", { value: source.n }, el("details", {}, el("summary", {}, passage.title || passage.document, source.gold.length || item.relevant[passage.document] > 0 ? el("mark", {}, "gold") : null, source.quotes.length ? el("span", { class: "muted" }, " cited") : null), el("p", { class: "item-passage" }, lit(passage.text, source.gold))));
}

function lit(text, places) {
  const parts = [];
  let at = 0;
  for (const [start, end] of places) {
    if (start < at) continue;
    parts.push(text.slice(at, start), el("mark", {}, text.slice(start, end)));
    at = end;
  }
  return [...parts, text.slice(at)];
}

function rankRow(item, at, rank) {
  const row = item.passages[at];
  return el("li", { value: rank }, row.title || row.document, item.relevant[row.document] > 0 ? el("mark", {}, "gold") : null);
}
