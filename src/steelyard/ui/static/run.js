// One run: sentences, figures, what each part brought, any two arms, question by question.

import { compareArms, getRun, listRuns, reportAddress, saveReport } from "./api.js";
import { hasKey } from "./auth.js";
import { el, fill, toast } from "./dom.js";
import { makeItems } from "./items.js";
import { ago, plural } from "./text.js";

const SIGN_CLASS = { better: "better", worse: "worse", "no evidence": "no-evidence", underpowered: "underpowered" };
const OVERALL = { better: "▲", worse: "▼", "no evidence": "=", underpowered: "?", mixed: "◆", baseline: "●", "not compared": "○" };

/** Read a run and draw it with `fresh`; `question` is opened where the address names one. */
export async function makeRun(id, question, fresh) {
  const [run, { runs }] = await Promise.all([getRun(id), listRuns()]);
  const items = makeItems(run);
  const pair = makePair(run, runs, items);
  const sections = [heading(run), figures(run), steps(run), el("h2", {}, "Any two arms"), pair.node, el("h2", {}, "Questions"), items.node];
  fresh(sections);
  pair.choose(); // what fails there is told there, and the keys need not wait for it
  if (question) items.open(question);
  return { key: items.key };
}

function heading(run) {
  const about = [`${plural(run.num_questions, "question")}${run.num_clusters === run.num_questions ? "" : ` in ${plural(run.num_clusters, "cluster")}`}`, ago(run.created_at), Object.entries(run.machine).map((pair) => pair.join(" ")).join(", "), run.id];
  const report = hasKey()
    ? el("button", { type: "button", class: "primary", on: { click: () => saveReport(run.id).catch((error) => toast(error.message)) } }, "Save the report")
    : el("a", { class: "button primary", href: reportAddress(run.id), target: "_blank", rel: "noopener" }, "Open the report");
  return [
    el("a", { class: "small", href: "#/lab" }, "‹ All runs"),
    el("div", { class: "row" }, el("h1", {}, run.set_name), el("span", { class: "grow" }), el("a", { class: "button quiet", href: `#/costs?run=${encodeURIComponent(run.id)}` }, "Weigh the costs"), report),
    el("p", { class: "muted small" }, about.filter(Boolean).join(" · ")),
    el("ul", { class: "sentences" }, run.verdicts.map(({ overall, text }) => el("li", {}, el("b", { class: `sign ${SIGN_CLASS[overall] ?? ""}`, title: overall }, OVERALL[overall]), el("span", {}, text)))),
    run.notes.map((note) => el("p", { class: "notice warn" }, note)),
  ];
}

function figures(run) {
  const by = new Map(run.comparisons.filter((one) => one.baseline === run.baseline).map((one) => [`${one.candidate}\n${one.measure}`, one]));
  return [
    el("div", { class: "wide-table" }, el("table", { class: "lab-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Arm"), run.measures.map((name) => el("th", { scope: "col", class: "num" }, name)), el("th", { scope: "col", class: "num" }, "Failed"))),
      el("tbody", {}, run.arms.map((arm) => el("tr", {}, el("th", { scope: "row" }, arm.name), run.measures.map((name) => {
        const one = by.get(`${arm.name}\n${name}`);
        const figure = arm.figures[name];
        return el("td", { class: "num" }, figure?.shown ?? "–", one ? sign(one) : null, figure ? el("small", { class: "muted" }, figure.bounds) : null);
      }), el("td", { class: arm.num_failed ? "num error-text" : "num" }, String(arm.num_failed))))))),
    run.detectable ? el("p", { class: "muted small" }, run.detectable) : null,
  ];
}

const sign = (one) => el("b", { class: `sign ${SIGN_CLASS[one.verdict]}`, title: one.verdict }, ` ${one.sign}`);

/** The waterfall of one measure, chosen above it. */
function steps(run) {
  const measures = run.measures.filter((name) => run.steps[name]?.length && run.steps[name].every(({ before, after }) => before?.value !== null && after?.value !== null && before && after));
  if (!measures.length) return null;
  const place = el("ul", { class: "falls" });
  const choice = el("select", { "aria-label": "Measure of the steps", on: { change: draw } }, measures.map((name) => el("option", { value: name }, name)));
  function draw() {
    const rows = run.steps[choice.value];
    const ends = rows.flatMap(({ before, after, delta }) => [before.value, after.value, ...(delta?.low === null || !delta ? [] : [before.value + delta.low, before.value + delta.high])]);
    const scale = scaleOf(ends);
    const total = (name, figure) => el("li", { class: "total" }, el("span", {}, name), el("span", { class: "num" }, figure.text), track([mark("tick", scale, figure.value, figure.value)]));
    fill(place, total(rows[0].previous, rows[0].before), rows.map((step) => el("li", {},
      el("span", {}, `+ ${step.part}: ${step.made_of}`), el("span", { class: "num" }, `${step.text} ${step.sign}`),
      track([mark(`fall ${step.kind}`, scale, step.before.value, step.after.value), step.delta && step.delta.low !== null ? mark("whisker", scale, step.before.value + step.delta.low, step.before.value + step.delta.high) : null]))), total(rows.at(-1).arm, rows.at(-1).after));
  }
  draw();
  return [el("div", { class: "row" }, el("h2", {}, "What each part brought"), el("span", { class: "grow" }), choice), place];
}

function scaleOf(values) {
  const low = Math.min(...values);
  const width = Math.max(...values) - low || 1;
  return (value) => 2 + (96 * (value - low)) / width;
}

const track = (marks) => el("span", { class: "fall-track", "aria-hidden": "true" }, marks);

function mark(kind, scale, from, to) {
  const node = el("i", { class: kind });
  const [left, right] = [scale(Math.min(from, to)), scale(Math.max(from, to))];
  node.style.left = `${left}%`;
  node.style.width = `${right - left}%`;
  return node;
}

/** Choose two arms, of this run or of another on the same set; tell what lies between them. */
function makePair(run, runs, items) {
  const options = (names, chosen) => names.map((name) => el("option", { value: name, selected: name === chosen }, name));
  const arm = el("select", { "aria-label": "Arm" }, options(run.arms.map(({ name }) => name), run.arms.at(-1).name));
  const others = runs.filter((one) => one.set_id === run.set_id);
  const other = el("select", { "aria-label": "Against the run" }, others.map((one) => el("option", { value: one.id, selected: one.id === run.id }, one.id === run.id ? "this run" : `${ago(one.created_at)}, ${one.id}`)));
  const otherArm = el("select", { "aria-label": "Against the arm" });
  const result = el("div", {});
  let asking = 0;

  function fillArms() {
    const names = others.find((one) => one.id === other.value)?.arms ?? [];
    fill(otherArm, options(names, names.includes(run.baseline) ? run.baseline : names[0]));
  }

  async function choose() {
    const mine = (asking += 1);
    const alone = other.value === run.id && otherArm.value === arm.value;
    const values = { arm: arm.value, against_run: other.value, against: otherArm.value };
    await Promise.all([alone ? fill(result, el("p", { class: "muted" }, "That is the same arm; choose another.")) : compared(mine, values), items.choose(values)]);
  }

  async function compared(mine, values) {
    fill(result, el("p", { class: "muted" }, "Weighing …"));
    try {
      const { comparisons } = await compareArms(run.id, values);
      if (mine === asking) fill(result, comparisonTable(comparisons));
    } catch (error) {
      if (mine === asking) fill(result, el("p", { class: "error-text", role: "alert" }, error.message));
    }
  }

  arm.addEventListener("change", choose);
  otherArm.addEventListener("change", choose);
  other.addEventListener("change", () => {
    fillArms();
    choose();
  });
  fillArms();
  return { node: el("div", { class: "pair" }, el("div", { class: "row" }, arm, "against", otherArm, "of", other), result), choose };
}

function comparisonTable(rows) {
  return el("div", { class: "wide-table" }, el("table", { class: "lab-table compared" },
    el("thead", {}, el("tr", {}, ["Measure", "Difference", "n", "p (Holm)", "Smallest that shows", "Verdict"].map((name, n) => el("th", { scope: "col", class: n && n < 5 ? "num" : "" }, name)))),
    el("tbody", {}, rows.map((one) => el("tr", {}, el("th", { scope: "row" }, one.measure), el("td", { class: "num" }, one.delta.text), el("td", { class: "num" }, String(one.delta.n)), el("td", { class: "num" }, one.p_holm === null ? "–" : one.p_holm < 0.001 ? "< .001" : one.p_holm.toFixed(3)), el("td", { class: "num" }, one.mde), el("td", {}, sign(one), ` ${one.verdict}`))))));
}
