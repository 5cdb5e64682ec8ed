// Costs: a scenario weighed live, what to take, how sure that is, what flips it, and why.

import { advice, getRun, getScenarios, listRuns, weighScenario } from "./api.js";
import { el, fill, toast } from "./dom.js";
import { makeInputs } from "./costs-inputs.js";
import { dollars, share, wholeTrace } from "./costs-numbers.js";
import { comparison, exports, pinned } from "./costs-pinned.js";
import { makeBreakEven, makeFrontier, makeTornado } from "./costs-plots.js";
import { doubts, flips, reasons, rules, table, verdict } from "./costs-told.js";
import { makeWhy } from "./costs-why.js";
import { ago, plural } from "./text.js";

const KEY = "steelyard.costs";
const WAIT_MS = 200; // after the last change
const ARMS = new Set(["base", "rag", "tuned", "tuned+rag"]);
const EMPTY = { base: "", given: {}, run: "", measure: "", whatIf: {}, pinned: null };

function load() {
  try {
    return { ...EMPTY, ...JSON.parse(sessionStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...EMPTY };
  }
}

function keep(state) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    // Storage is full or forbidden: the scenario lasts until the page is left.
  }
}

export function mountCosts(root) {
  const place = el("div", { class: "costs" }, el("p", { class: "muted" }, "Reading the scenarios and prices …"));
  root.append(place);
  const state = load();
  let view = null; // made when the scenarios are known
  let making = null;

  async function make() {
    try {
      const [offered, { runs }] = await Promise.all([getScenarios(), listRuns()]);
      if (!offered.scenarios.some(({ name }) => name === state.base)) Object.assign(state, { base: offered.scenarios[0].name, given: {} });
      const usable = runs.filter(({ arms }) => arms.some((arm) => ARMS.has(arm)));
      if (state.run && !usable.some(({ id }) => id === state.run)) Object.assign(state, { run: "", measure: "" });
      view = makeView(offered, usable, state);
      fill(place, view.node);
      await view.start();
    } catch (error) {
      making = null;
      const why = error.code === "forbidden" ? "Use an operator's key: forget this one under About, then come back." : advice(error);
      fill(place, el("div", { class: "notice bad", role: "alert" }, el("strong", {}, error.message), " ", why, el("div", { class: "row" }, el("button", { type: "button", class: "quiet", on: { click: () => (making = make()) } }, "Try again"))));
    }
  }

  return {
    /** `scenario` and `run` of the address choose; without them all stays as it was. */
    show(params) {
      const [scenario, run] = [params.get("scenario"), params.get("run")];
      if (scenario) Object.assign(state, { base: scenario, given: {}, whatIf: {} });
      if (run) Object.assign(state, { run, measure: "" });
      if (!making) making = make();
      else if (scenario || run) view?.start();
    },
    hide() {},
    focus: () => place.querySelector("select, button")?.focus(),
    escape: () => false,
  };
}

function makeView(offered, runs, state) {
  const specs = new Map(offered.inputs.map((spec) => [spec.key, spec]));
  const named = new Map(offered.scenarios.map((one) => [one.name, one]));
  const why = makeWhy();
  const parts = makeParts(offered, specs, change);
  let timer = null;
  let asking = null;
  let asked = 0;
  let present = null; // {told, body}

  const base = () => named.get(state.base);
  const changed = () => Object.keys(state.given).length + Object.keys(state.whatIf).length > 0;
  const label = () => (changed() ? `${state.base}, changed` : state.base);
  const body = () => ({ base: state.base, scenario: state.given, run: state.run, measure: state.measure, what_if: state.whatIf });

  function change(key, value, { whatIf = false } = {}) {
    const into = whatIf ? state.whatIf : state.given;
    if (value === undefined) delete into[key];
    else into[key] = value;
    again();
  }

  function apply(input, value) {
    change(input, value, { whatIf: !specs.has(input) });
    toast(`Applied: ${input} = ${value.toPrecision(4)}`);
  }

  /** Weigh what is set now, once the hand rests. */
  function again() {
    keep(state);
    showInputs();
    clearTimeout(timer);
    timer = setTimeout(weigh, WAIT_MS);
  }

  async function weigh() {
    asking?.abort();
    const mine = (asked += 1);
    asking = new AbortController();
    const sent = body();
    parts.results.setAttribute("aria-busy", "true");
    try {
      const told = await weighScenario(sent, { signal: asking.signal });
      if (mine !== asked) return; // something else was asked for meanwhile
      present = { told, body: sent };
      draw();
      fill(parts.problem);
      parts.inputs.fault("");
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      fill(parts.problem, el("div", { class: "notice bad", role: "alert" }, el("strong", {}, "This was not weighed; what stands below is from before. "), error.message, error.status === 400 || error.status === 404 ? null : ` ${advice(error)}`, el("div", { class: "row" }, el("button", { type: "button", class: "quiet", on: { click: weigh } }, "Try again"), changed() ? el("button", { type: "button", class: "quiet", on: { click: resetAll } }, "Reset all inputs") : null)));
      parts.inputs.fault(error.message);
    } finally {
      if (mine === asked) parts.results.removeAttribute("aria-busy");
    }
  }

  function resetAll() {
    Object.assign(state, { given: {}, whatIf: {} });
    again();
  }

  function draw() {
    const { told } = present;
    why.show(wholeTrace(told));
    fill(parts.verdict, verdict(told));
    fill(parts.reasons, reasons(told));
    fill(parts.flips, flips(told, specs, apply));
    fill(parts.table, table(told));
    parts.results.hidden = false;
    for (const plot of [parts.breakEven, parts.frontier, parts.tornado]) plot.show(told);
    fill(parts.rules, rules(told));
    fill(parts.doubts, doubts(told, specs));
    compare();
    const best = told.options.find(({ option }) => option === told.recommended);
    fill(parts.inputs.now, best ? [el("b", {}, best.title), ` ${dollars(best.total_usd.value)} USD in ${plural(told.scenario.choices.months, "month")}, ${share(told.probability)} of draws`] : "No way meets the conditions");
    fill(parts.about, `${told.scenario.title || told.scenario.name}. Prices of ${told.prices_on}; ${told.draws.toLocaleString("en")} draws.`);
  }

  function compare() {
    fill(parts.pinned, state.pinned && present ? comparison(state.pinned, present.told, label(), specs, () => pin(null)) : el("p", { class: "muted small" }, "Pin this scenario, change something, and see both side by side."));
  }

  function pin(kept) {
    state.pinned = kept;
    keep(state);
    compare();
  }

  function showInputs() {
    parts.inputs.show(state, base());
    parts.scenario.value = state.base;
    parts.report.value = state.run;
    parts.reset.hidden = !changed();
    fill(parts.label, changed() ? "changed: your own" : "");
  }

  /** Offer the run's measures of quality, where it has several. */
  async function measures() {
    parts.measure.hidden = true;
    if (!state.run) return;
    const { quality } = await getRun(state.run);
    fill(parts.measure, quality.map((name) => el("option", { value: name, selected: name === state.measure }, name)));
    parts.measure.hidden = quality.length < 2;
  }

  fill(parts.scenario, offered.scenarios.map(({ name, title }) => el("option", { value: name, title }, name)));
  fill(parts.report, el("option", { value: "" }, runs.length ? "none: stated defaults" : "none yet: stated defaults"), runs.map((run) => el("option", { value: run.id }, `${run.set_name}, ${run.arms.filter((arm) => ARMS.has(arm)).join(" ")}, ${ago(run.created_at)}`)));
  parts.scenario.addEventListener("change", () => {
    Object.assign(state, { base: parts.scenario.value, given: {}, whatIf: {} });
    again();
  });
  parts.report.addEventListener("change", () => {
    Object.assign(state, { run: parts.report.value, measure: "", whatIf: {} });
    measures().catch((error) => toast(error.message));
    again();
  });
  parts.measure.addEventListener("change", () => {
    state.measure = parts.measure.value;
    again();
  });
  parts.reset.addEventListener("click", resetAll);
  parts.pin.addEventListener("click", () => present && pin(pinned(present.told, label())));
  parts.node.addEventListener("click", (event) => {
    const number = event.target.closest("[data-why]");
    if (number) why.open(number.dataset.why);
  });
  fill(parts.exports, exports(() => present));

  return {
    node: parts.node,
    async start() {
      showInputs();
      await Promise.all([measures().catch((error) => toast(error.message)), weigh()]);
    },
  };
}

function makeParts(offered, specs, change) {
  const empty = () => el("div");
  const parts = {
    scenario: el("select", { id: "cost-scenario" }), report: el("select", { id: "cost-report" }), measure: el("select", { "aria-label": "Measure of quality", hidden: true }),
    label: el("span", { class: "sign underpowered small" }), about: el("p", { class: "muted small" }), problem: empty(),
    reset: el("button", { type: "button", class: "quiet", hidden: true }, "Reset all"), pin: el("button", { type: "button", class: "quiet", title: "Keep these figures to compare the next ones with" }, "Pin"),
    verdict: empty(), reasons: empty(), flips: empty(), table: empty(), rules: empty(), doubts: empty(), pinned: empty(), exports: empty(),
    breakEven: makeBreakEven(), frontier: makeFrontier(), tornado: makeTornado(specs), inputs: makeInputs(offered, change),
  };
  const panel = (name, ...inside) => el("section", { class: "panel" }, el("h2", {}, name), inside);
  parts.results = el("div", { class: "cost-results", hidden: true },
    el("section", { class: "cost-head", "aria-live": "polite" }, parts.verdict),
    el("div", { class: "panels" }, panel("Why", parts.reasons), panel("What flips it", parts.flips)),
    el("section", {}, el("h2", {}, "The ways side by side"), parts.table),
    panel("Cost by volume", parts.breakEven.node),
    panel("Quality by cost", parts.frontier.node),
    panel("What moves the total", parts.tornado.node),
    el("div", { class: "panels" }, panel("Rules of thumb", parts.rules), el("section", { class: "panel" }, parts.doubts)),
    panel("Compare", parts.pinned));
  parts.node = el("div", {},
    el("div", { class: "row cost-bar" }, el("h1", {}, "Costs"), el("span", { class: "grow" }), parts.exports),
    el("div", { class: "row cost-bar" }, el("label", { for: "cost-scenario" }, "Scenario"), parts.scenario, el("label", { for: "cost-report" }, "Measured by"), parts.report, parts.measure, parts.label, parts.reset, parts.pin),
    parts.about, parts.problem,
    el("div", { class: "cost-grid" }, parts.results, parts.inputs.node));
  return parts;
}
