// A scenario kept beside the present one, and the files that leave the page.

import { saveCosts } from "./api.js";
import { el, toast } from "./dom.js";
import { dollars, inputName, number, share } from "./costs-numbers.js";

/** Return what is kept of advice for comparing: small enough for the browser's session. */
export function pinned(told, label) {
  return {
    label, verdict: told.verdict, recommended: told.recommended, probability: told.probability, months: told.scenario.choices.months, measured: told.measured.source,
    totals: told.options.map(({ option, title, total_usd, quality }) => ({ option, title, usd: total_usd.value, quality: quality.value })),
    inputs: Object.fromEntries(Object.entries(told.scenario.inputs).map(([key, { value }]) => [key, value])),
    choices: told.scenario.choices,
  };
}

/** Draw two scenarios side by side: what is chosen, the totals, and the inputs that differ. */
export function comparison(kept, told, label, specs, unpin) {
  const now = pinned(told, label);
  const options = new Map([...kept.totals, ...now.totals].map(({ option, title }) => [option, title]));
  const of = (one, option) => one.totals.find((row) => row.option === option);
  const title = (one) => (one.recommended ? `${of(one, one.recommended).title} (${share(one.probability)})` : "no way");
  const row = (name, before, after, difference = "") => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "num" }, before), el("td", { class: "num" }, after), el("td", { class: "num" }, difference));
  const differing = [...Object.keys(now.inputs).filter((key) => kept.inputs[key] !== now.inputs[key]).map((key) => row(inputName(key, specs), number(kept.inputs[key] ?? NaN), number(now.inputs[key]))), ...Object.keys(now.choices).filter((key) => kept.choices[key] !== now.choices[key]).map((key) => row(key, shown(kept.choices[key]), shown(now.choices[key])))];
  return el("div", { class: "wide-table" }, el("table", { class: "lab-table pinned" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), el("th", { scope: "col", class: "num" }, `Pinned: ${kept.label}`), el("th", { scope: "col", class: "num" }, `Now: ${label}`), el("th", { scope: "col", class: "num" }, el("button", { type: "button", class: "quiet small", on: { click: unpin } }, "Unpin")))),
    el("tbody", {}, row("Chosen", title(kept), title(now)), [...options].map(([option, name]) => {
      const [before, after] = [of(kept, option)?.usd, of(now, option)?.usd];
      return row(`${name}, USD`, amount(before), amount(after), before && after ? `${after >= before ? "+" : "−"}${Math.abs(Math.round(100 * (after / before - 1)))} %` : "");
    }), differing.length ? differing : row("No input differs", "", ""))));
}

const amount = (usd) => (usd === undefined ? "–" : dollars(usd));
const shown = (value) => (value === "" ? "none" : String(value));

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const quoted = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

/** Return the table of ways as CSV. */
export function asCsv(told) {
  const heads = ["option", "way", "monthly_usd", "one_time_usd", "total_usd", "total_low_usd", "total_high_usd", "usd_per_1000_questions", "quality", "quality_low", "quality_high", "first_word_p95_ms", "share_of_draws", "on_frontier", "recommended", "excluded", "months", "prices_on"];
  const rows = told.options.map((row) => [row.option, row.title, row.monthly_usd, row.one_time_usd, row.total_usd.value, row.total_usd.low, row.total_usd.high, row.per_1000_usd, row.quality.value, row.quality.low, row.quality.high, row.first_word_ms.value, row.share, row.on_frontier, row.option === told.recommended, row.excluded, told.scenario.choices.months, told.prices_on]);
  return `${[heads, ...rows].map((row) => row.map(quoted).join(",")).join("\n")}\n`;
}

/** Return the scenario as the file that `steelyard advise --scenario FILE` reads. */
export function asToml(told) {
  const text = (value) => (typeof value === "string" ? JSON.stringify(value) : String(value));
  const inputs = Object.entries(told.scenario.inputs).filter(([, one]) => !one.default).map(([key, { value, low, high }]) => `${key} = ${low < high ? `{ value = ${value}, low = ${low}, high = ${high} }` : value}`);
  const choices = Object.entries(told.scenario.choices).map(([key, value]) => `${key} = ${text(value)}`);
  return `# steelyard advise --scenario THIS-FILE.toml\nname = ${text(told.scenario.name)}\n${[...inputs, ...choices].join("\n")}\n`;
}

/** `present()` returns {told, body}: what is shown, and what was asked for it. */
export function exports(present) {
  const named = (kind) => `steelyard-costs-${present().told.scenario.name}.${kind}`;
  const make = (name, about, run) => el("button", { type: "button", class: "quiet", title: about, on: { click: run } }, name);
  return el("div", { class: "row exports", role: "group", "aria-label": "Export" }, el("span", { class: "muted small" }, "Export"),
    make("CSV", "The table of ways", () => save(new Blob([asCsv(present().told)], { type: "text/csv" }), named("csv"))),
    make("JSON", "Every number with its formula and source", () => save(new Blob([JSON.stringify(present().told, null, 1)], { type: "application/json" }), named("json"))),
    make("One page", "An HTML file for who decides, to print or send", async () => {
      try {
        save(await saveCosts(present().body), named("html"));
      } catch (error) {
        toast(error.message);
      }
    }),
    make("Scenario file", "For steelyard advise --scenario FILE", () => save(new Blob([asToml(present().told)], { type: "application/toml" }), named("toml"))));
}
