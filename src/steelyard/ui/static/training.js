// Training runs: which there are, and one of them with its curves, followed while it goes on.

import { cancelTraining, getTraining, getTrainingMetrics } from "./api.js";
import { curve, shares, sparkline } from "./charts.js";
import { el, fill, toast } from "./dom.js";
import { ago, formatCount } from "./text.js";

const POLL_MS = 2000;
const MOST_POINTS = 400;
const STATE_CLASS = { done: "better", failed: "worse", interrupted: "underpowered", cancelled: "underpowered" };

const underWay = ({ state }) => state === "running" || state === "planned";
const state = (run) => el("b", { class: `sign ${STATE_CLASS[run.state] ?? ""}` }, run.state);
const share = (run) => (run.num_steps ? run.step / run.num_steps : 0);

export function trainingTable(runs) {
  if (!runs.length) return el("p", { class: "muted" }, "Nothing was trained here yet. ", el("code", {}, "steelyard tune run --recipe RECIPE.yaml"), " begins a run, or a job sent to ", el("code", {}, "/v1/fine_tuning/jobs"), ".");
  return el("div", { class: "wide-table" }, el("table", { class: "lab-table trainings" },
    el("thead", {}, el("tr", {}, ["Training", "Kind", "Data", "Step", "State"].map((name) => el("th", { scope: "col", class: name === "Step" ? "num" : "" }, name)))),
    el("tbody", {}, runs.map((run) => el("tr", {},
      el("td", {}, el("a", { href: `#/lab?training=${encodeURIComponent(run.id)}` }, run.id), el("br"), el("span", { class: "muted small" }, ago(run.started_at))),
      el("td", {}, run.kind),
      el("td", {}, run.dataset.slice(0, 12)),
      el("td", { class: "num" }, `${formatCount(run.step)} / ${formatCount(run.num_steps)}`),
      el("td", {}, state(run)))))));
}

/** Read a run, draw it with `fresh`, and follow it until `stop` is called or it has ended. */
export async function makeTraining(id, fresh) {
  const readings = new Map(); // step → a line of metrics; of a step gone through twice, the later
  const evals = new Map();
  let after = 0;
  let timer = 0;
  let stopped = false;
  let asked = "Cancel";

  async function read() {
    for (;;) {
      const { rows, next, again } = await getTrainingMetrics(id, after);
      if (again) [readings, evals].forEach((kept) => kept.clear());
      for (const row of rows) (row.eval ? evals : readings).set(row.step, row);
      if (next === after || !rows.length) return;
      after = next;
    }
  }

  const head = el("div", { class: "training-head" });
  const body = el("div", { class: "operations-body" });

  async function draw() {
    const [run] = await Promise.all([getTraining(id), read()]);
    fill(head, heading(run, asked, cancel));
    fill(body, curves(run, readings, evals), tokens(run.accounting));
    if (!body.dataset.recipe) {
      body.dataset.recipe = "known";
      rest.append(el("details", {}, el("summary", {}, "Recipe"), el("pre", { class: "item-passage" }, run.recipe)));
    }
    return run;
  }

  async function follow() {
    try {
      if (!document.hidden && !underWay(await draw())) return;
    } catch (error) {
      toast(error.message);
    }
    if (!stopped) timer = setTimeout(follow, POLL_MS);
  }

  async function cancel(button) {
    if (asked === "Cancel") {
      asked = "Really cancel it?"; // a second click does it; the drawing comes again meanwhile
      fill(button, asked);
      return;
    }
    button.disabled = true;
    await cancelTraining(id).then(() => toast("Asked to stop: it writes a checkpoint first."), (error) => toast(error.message));
  }

  const rest = el("div", {});
  const run = await draw();
  fresh([el("a", { class: "small", href: "#/lab" }, "‹ All runs"), head, body, rest]);
  if (underWay(run)) timer = setTimeout(follow, POLL_MS);
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function heading(run, asked, cancel) {
  const left = run.step > 0 && underWay(run) ? ((run.updated_at - run.started_at) / run.step) * (run.num_steps - run.step) : null;
  const about = [run.kind, `step ${formatCount(run.step)} of ${formatCount(run.num_steps)}`, run.started_at ? `begun ${ago(run.started_at)}` : "", left === null ? "" : `about ${left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} min`} left`, run.dataset ? `data ${run.dataset.slice(0, 12)}` : "", run.job];
  const bar = el("progress", { max: "1", value: String(share(run)), "aria-label": "Steps done" });
  return [
    el("div", { class: "row" }, el("h1", {}, run.id), state(run), el("span", { class: "grow" }), underWay(run) ? el("button", { type: "button", class: "quiet", on: { click: (event) => cancel(event.currentTarget) } }, asked) : null),
    el("p", { class: "muted small" }, about.filter(Boolean).join(" · ")),
    underWay(run) ? bar : null,
    run.error ? el("p", { class: "notice bad" }, run.error) : null,
  ];
}

function curves(run, readings, evals) {
  const points = thinned([...readings.values()].filter(({ loss }) => Number.isFinite(loss)).map(({ step, loss }) => [step, loss]).sort((a, b) => a[0] - b[0]));
  if (!points.length) return el("p", { class: "muted" }, "No step is done yet.");
  const measured = [...evals.values()].sort((a, b) => a.step - b.step);
  const names = [...new Set(measured.flatMap((row) => Object.keys(row.eval)))];
  const newest = readings.get(Math.max(...readings.keys()));
  return [
    el("figure", { class: "panel" }, el("figcaption", { class: "row" }, el("h2", {}, "Training loss"), el("span", { class: "grow" }), el("span", { class: "num" }, `${shown(newest.loss)} at step ${formatCount(newest.step)}`)), curve(points, run.num_steps)),
    el("dl", { class: "tiles" },
      names.map((name) => {
        const values = measured.map((row) => row.eval[name] ?? null);
        return el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, el("strong", { class: "num" }, shown(values.at(-1))), el("span", { class: "small muted" }, `from ${shown(values[0])}`), sparkline(values)));
      }),
      [["learning rate", newest.lr], ["gradient norm", newest.grad_norm], ["tokens", newest.tokens]].filter(([, value]) => Number.isFinite(value)).map(([name, value]) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, el("strong", { class: "num" }, shown(value)))))),
  ];
}

/** Every token of the rows went somewhere. */
function tokens(accounting) {
  const roles = Object.entries(accounting.train ? accounting : { train: accounting }).filter(([, one]) => one?.kept !== undefined);
  return roles.map(([role, one]) => el("section", { class: "panel" }, el("h2", {}, `Tokens, ${role}`), shares([["kept", "exact"], ["truncated", "semantic"], ["dropped", "bad"]].map(([name, kind]) => ({ name, kind, value: one[name] ?? 0 })))));
}

/** Average neighbours, so that a long run is drawn from as many points as can be told apart. */
function thinned(points) {
  const each = Math.ceil(points.length / MOST_POINTS);
  if (each <= 1) return points;
  const means = [];
  for (let i = 0; i < points.length; i += each) {
    const part = points.slice(i, i + each);
    means.push([part.at(-1)[0], part.reduce((sum, [, value]) => sum + value, 0) / part.length]);
  }
  return means;
}

function shown(value) {
  if (!Number.isFinite(value)) return "–";
  return Number.isInteger(value) ? formatCount(value) : Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(4);
}
