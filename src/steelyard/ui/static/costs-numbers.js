// Numbers of the costs as people read them, and as buttons that lead to where they come from.

import { el } from "./dom.js";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CENTS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Write dollars with as many digits as mean something: 4.20, 51,917, 1.24 million. */
export function dollars(amount) {
  const size = Math.abs(amount);
  if (size >= 1e9) return `${CENTS.format(amount / 1e9)} billion`;
  if (size >= 1e6) return `${CENTS.format(amount / 1e6)} million`;
  if (size >= 100 || amount === 0) return WHOLE.format(amount);
  return size >= 1 ? CENTS.format(amount) : String(Number(amount.toPrecision(3)));
}

/** Write a number: whole from 1,000 on, else with four digits that count. */
export const number = (value) => (Math.abs(value) >= 1000 ? WHOLE.format(value) : String(Number(value.toPrecision(4))));

/** Write a number that was found by search or drawn: with three digits that count. */
export const about = (value) => number(Number(value.toPrecision(3)));

export const share = (value) => `${Math.round(100 * value)} %`;

/** Write a number of a scale: 0.1, 100, 10k, 1M. */
export function short(value) {
  for (const [size, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${name}`;
  return String(Number(value.toPrecision(3)));
}

export const unitOf = (unit) => (unit === "1" ? "" : unit.replace("USD/kquestion", "USD/1,000 questions"));

/** Write a figure of the trace, which may be one number a month. */
export function valueOf({ value, unit }) {
  const written = (one) => (unit.startsWith("USD") ? dollars(one) : number(one));
  const named = unitOf(unit);
  const after = named ? ` ${named}` : "";
  if (!Array.isArray(value)) return written(value) + after;
  const [first, last] = [value[0], value.at(-1)];
  return first === last ? written(first) + after : `${written(first)} in the first month, ${written(last)} in month ${value.length}${named ? `, ${named}` : ""}`;
}

/** Make a number that opens its formula, inputs, sources and dates; `name` as in `formulas`. */
export function figure(text, name, more = {}) {
  return el("button", { type: "button", class: "figure num", "data-why": name, title: `How this comes about: ${name}`, ...more }, text);
}

/** Return how an input of the model is called for people: what it is, or its name. */
export const inputName = (name, specs) => specs.get(name)?.what ?? name;

export const SHARE = (option) => `${option} share of draws`;
export const BREAK = (one) => `break-even of ${one.cheaper} and ${one.dearer}`;
export const SWING = (one, end) => `total with ${one.input} at its ${end}`;
export const FLIP = (one) => `${one.input} that flips the choice at ${number(one.value)}`;
export const DECIDES = (one) => `what hangs on ${one.input}`;

const RULE = ["latency_target_ms", "min_quality", "tolerance", "worth_usd"]; // what the choice itself goes by

/** Return the trace with what follows from all draws, or from two totals, beside the formulas. */
export function wholeTrace(told) {
  const all = { ...told.formulas };
  for (const row of told.options) {
    all[row.formulas.total_usd] = { ...all[row.formulas.total_usd], band: row.total_usd, parts: row };
    all[row.formulas.quality] = { ...all[row.formulas.quality], band: row.quality };
    all[row.formulas.first_word_ms] = { ...all[row.formulas.first_word_ms], band: row.first_word_ms };
    all[SHARE(row.option)] = {
      value: row.share, unit: "1", formula: `draws that choose ${row.option} / ${number(told.draws)} draws`,
      inputs: [...RULE, ...told.options.flatMap(({ formulas }) => [formulas.total_usd, formulas.quality, formulas.first_word_ms])].filter((one, place, every) => every.indexOf(one) === place),
      note: "Each draw takes every uncertain input from its range, the same for all ways. In each, the rule chooses: of the ways that are allowed and within the tolerance of the best quality, the cheapest; or, where a right answer has a worth, what leaves most of it.",
    };
  }
  const total = (option) => told.options.find((row) => row.option === option).formulas.total_usd;
  for (const one of told.volumes.breaks) {
    all[BREAK(one)] = {
      value: one.questions_per_day, unit: "question/day", formula: `questions_per_day at which ${total(one.cheaper)} = ${total(one.dearer)}`,
      inputs: ["questions_per_day", total(one.cheaper), total(one.dearer)], band: { value: one.questions_per_day, low: one.low, high: one.high },
      note: `All else stays as it is. ${share(one.share)} of the draws have a break-even in the volumes that are drawn. Where whole machines make the lines cross several times, this is the last crossing.`,
    };
  }
  const swung = told.options.find(({ option }) => option === (told.recommended ?? told.options[0].option));
  for (const one of told.tornado)
    for (const [end, value, at] of [["lowest", one.total_at_low, one.low], ["highest", one.total_at_high, one.high]])
      all[SWING(one, end)] = { value, unit: "USD", formula: `${swung.formulas.total_usd} with ${one.input} = ${number(at)}`, inputs: [swung.formulas.total_usd, one.input], note: "All other inputs stay at their stated values." };
  for (const one of told.flips)
    all[FLIP(one)] = { value: one.value, unit: told.formulas[one.input]?.unit ?? "1", formula: `nearest ${one.input} with which the rule chooses ${one.to ?? "nothing"} instead of ${told.at_point ?? "nothing"}`, inputs: [one.input, ...RULE.filter((name) => name !== one.input)], note: "Found by trying 120 values over what is allowed and 120 more where the choice changes; all other inputs stay at their stated values." };
  for (const one of told.to_measure)
    all[DECIDES(one)] = { value: one.gap, unit: "1", formula: `| share of draws that choose ${told.recommended ?? "nothing"}, in the lowest third of ${one.input} - in its highest third |`, inputs: [one.input, ...(told.recommended ? [SHARE(told.recommended)] : [])], note: `Of ${number(told.draws)} draws.` };
  return all;
}
