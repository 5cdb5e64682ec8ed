// What the advice says: the verdict with its reasons, what flips it, the ways side by side, rules of thumb.

import { el } from "./dom.js";
import { DECIDES, FLIP, SHARE, dollars, figure, inputName, number, share } from "./costs-numbers.js";
import { letterOf } from "./costs-plots.js";
import { plural } from "./text.js";

const FLIPS = 5;
const DECIDING = 3;
const MEASURE = "steelyard eval run --data SET --arms base,rag,tuned,tuned+rag";

const titles = (told) => new Map(told.options.map((row) => [row.option, row.title]));

/** The sentence, its numbers, and what to know before believing it. */
export function verdict(told) {
  const asked = [told.recommended, ...told.rivals].filter(Boolean);
  let n = 0;
  const sentence = told.verdict.split(/(\d+)(?= of 100 draws)/).map((piece, place) => (place % 2 ? shareButton(piece, asked[n++]) : piece));
  const title = titles(told);
  return [
    el("p", { class: `cost-verdict${told.tie ? " tie" : ""}` }, told.recommended === null ? el("b", { class: "sign worse", title: "none" }, "✗ ") : told.tie ? el("b", { class: "sign underpowered", title: "a tie" }, "= ") : el("b", { class: "sign better" }, "▲ "), sentence),
    told.at_point === told.recommended ? null : el("p", { class: "muted small" }, `With every input at exactly its stated value the choice is ${title.get(told.at_point) ?? "none"}; over the ranges another is chosen more often.`),
    told.measured.assumed ? assumed(told) : el("p", { class: "muted small" }, `Quality (${told.measured.measure}), waiting and tokens are measured: ${told.measured.source}.`),
  ];
}

const shareButton = (text, option) => (option ? figure(text, SHARE(option)) : text);

function assumed(told) {
  const commands = new Set(told.to_measure.map((one) => one.measure).filter(Boolean));
  const command = [...commands].find((one) => one.includes("eval run")) ?? MEASURE;
  return el("div", { class: "notice warn" }, el("strong", {}, "Nothing was measured here: "), "quality and waiting are stated defaults with wide ranges. Measure your own with ", el("code", {}, command), ", then choose that run above.");
}

export function reasons(told) {
  return el("ul", { class: "plain-list reasons" }, told.reasons.map((reason) => {
    const row = told.options.find(({ option }) => reason.startsWith(`${option}: `));
    return el("li", {}, row ? [el("b", {}, row.title), linked(reason.slice(row.option.length), row)] : reason);
  }));
}

/** Return a reason's text with its amounts, qualities and waits as buttons. */
function linked(text, row) {
  const kinds = [[/[\d,.]+(?= USD)/, "total_usd"], [/(?<=quality (?:is )?)[+-]?\d\.\d+|(?<=its own is )\d\.\d+/, "quality"], [/(?<=takes )[\d,]+(?= ms)/, "first_word_ms"]];
  let pieces = [text];
  for (const [kind, name] of kinds) {
    pieces = pieces.flatMap((piece) => {
      const found = typeof piece === "string" ? kind.exec(piece) : null;
      return found ? [piece.slice(0, found.index), figure(found[0], row.formulas[name]), piece.slice(found.index + found[0].length)] : [piece];
    });
  }
  return pieces;
}

/** What would change the choice, nearest first; `apply(input, value)` does it. */
export function flips(told, specs, apply) {
  const title = titles(told);
  const found = told.flips.slice(0, FLIPS);
  if (!found.length) return el("p", { class: "muted" }, "No change of a single input flips it.");
  const kind = (name) => (told.formulas[name]?.unit === "1" ? "" : ` ${told.formulas[name]?.unit ?? ""}`);
  return [
    el("p", { class: "muted small" }, "Each alone, all else at its stated value; the smallest change first."),
    el("ol", { class: "flips" }, found.map((one) => el("li", {},
      el("span", { class: "what" }, el("b", {}, inputName(one.input, specs)), " ", figure(number(one.now), one.input), " → ", figure(number(one.value), FLIP(one)), kind(one.input)),
      el("span", { class: "to" }, one.to ? `leads to ${title.get(one.to)}` : "and no way is allowed"),
      el("button", { type: "button", class: "quiet small", "aria-label": `Apply ${inputName(one.input, specs)} ${number(one.value)}`, on: { click: () => apply(one.input, one.value) } }, "Apply")))),
  ];
}

/** The ways side by side. */
export function table(told) {
  const months = told.scenario.choices.months;
  const heads = ["Way", "First month, USD", "Once, USD", `${plural(months, "month")}, USD`, "1,000 questions, USD", "Quality", "First word, p95 ms", "Chosen in draws"];
  const band = ({ low, high }, written) => (low < high ? el("small", { class: "muted" }, `${written(low)} – ${written(high)}`) : null);
  return [
    el("div", { class: "wide-table" }, el("table", { class: "lab-table ways" },
      el("thead", {}, el("tr", {}, heads.map((name, n) => el("th", { scope: "col", class: n ? "num" : "" }, name)))),
      el("tbody", {}, told.options.map((row, n) => el("tr", { class: [row.option === told.recommended && "best", row.excluded && "out"].filter(Boolean).join(" "), "data-option": row.option },
        el("th", { scope: "row" }, el("b", { class: `letter-badge arm-${row.arm.replace("+", "-")}` }, letterOf(n)), row.title, row.on_frontier ? el("span", { class: "front-mark", title: "on the frontier: no other way is cheaper, better and quicker at once" }, " ◆") : null, row.excluded ? el("small", { class: "error-text" }, `not allowed: ${row.excluded}`) : null),
        el("td", { class: "num" }, figure(dollars(row.monthly_usd), row.formulas.monthly_usd)),
        el("td", { class: "num" }, figure(dollars(row.one_time_usd), row.formulas.one_time_usd)),
        el("td", { class: "num" }, figure(dollars(row.total_usd.value), row.formulas.total_usd), band(row.total_usd, dollars)),
        el("td", { class: "num" }, figure(dollars(row.per_1000_usd), row.formulas.per_1000_usd)),
        el("td", { class: "num" }, figure(row.quality.value.toFixed(3), row.formulas.quality), band(row.quality, (one) => one.toFixed(3))),
        el("td", { class: "num" }, figure(number(row.first_word_ms.value), row.formulas.first_word_ms), band(row.first_word_ms, (one) => number(Math.round(one)))),
        el("td", { class: "num" }, figure(share(row.share), SHARE(row.option)))))))),
    el("p", { class: "muted small" }, "◆ no other way is cheaper, better and quicker at once. Below a figure: between which values 90 of 100 draws lie; the figure itself is at the stated values. Every number opens its formula, sources and dates."),
  ];
}

const AGREE = { true: ["✓", "agrees", "better"], false: ["✗", "disagrees", "worse"], null: ["–", "does not apply here", ""] };

export function rules(told) {
  const title = { base: "the model alone", rag: "retrieval", tuned: "a tuned model", "tuned+rag": "both" };
  return el("ul", { class: "plain-list rules" }, told.checks.map((one) => {
    const [sign, words, kind] = AGREE[one.agrees];
    return el("li", {}, el("b", { class: `sign ${kind}`, title: words }, sign), el("span", {}, one.rule, el("small", { class: "muted" }, one.agrees === null ? `${one.applies ? "nothing is allowed" : "does not apply"} (${one.condition})` : `${words} with the choice here; it leans to ${one.leans_to.map((arm) => title[arm] ?? arm).join(" or ")}`)));
  }));
}

/** What decides most and is assumed, and what to know of the prices. */
export function doubts(told, specs) {
  const deciding = told.to_measure.filter(({ gap }) => gap >= 0.02).slice(0, DECIDING);
  return [
    deciding.length ? [el("h2", {}, "Measure first"), el("ol", { class: "plain-list" }, deciding.map((one) => el("li", {}, el("b", {}, inputName(one.input, specs)), `: between its lowest and highest third the choice moves in `, figure(share(one.gap), DECIDES(one)), " of the draws. ", one.measure ? el("code", {}, one.measure) : null)))] : null,
    told.warnings.length ? el("details", {}, el("summary", {}, `To know about the prices and figures (${told.warnings.length})`), el("ul", { class: "plain-list small" }, told.warnings.map((one) => el("li", {}, one)))) : null,
  ];
}
