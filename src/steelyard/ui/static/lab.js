// Lab: which runs, training runs and question sets there are. They open in run.js, training.js,
// and review.js.

import { advice, listRuns, listSets, listTraining } from "./api.js";
import { el, fill } from "./dom.js";
import { makeReview } from "./review.js";
import { makeRun } from "./run.js";
import { ago, formatCount } from "./text.js";
import { makeTraining, trainingTable } from "./training.js";

export function mountLab(root) {
  const place = el("div", { class: "lab" });
  root.append(place);
  let open = null; // what is shown: {key, escape}
  let asking = 0;

  /** Draw what `make` returns, unless something else was asked for meanwhile. */
  async function draw(params) {
    const mine = (asking += 1);
    open?.stop?.();
    const fresh = (node) => mine === asking && fill(place, node);
    try {
      if (params.get("run")) open = await makeRun(params.get("run"), params.get("q"), fresh);
      else if (params.get("training")) settle(mine, await makeTraining(params.get("training"), fresh));
      else if (params.get("set")) open = await makeReview(params.get("set"), fresh);
      else {
        open = null;
        fresh(await overview());
      }
    } catch (error) {
      const why = error.code === "forbidden" ? "Use an operator's key: forget this one under About, then come back." : advice(error);
      fresh(el("div", { class: "notice bad", role: "alert" }, el("strong", {}, error.message), " ", why, el("div", { class: "row" }, el("a", { href: "#/lab" }, "All runs"), el("button", { type: "button", class: "quiet", on: { click: () => draw(params) } }, "Try again"))));
    }
  }

  /** Keep what follows a run, or stop it, if something else was asked for meanwhile. */
  function settle(mine, made) {
    if (mine === asking) open = made;
    else made.stop();
  }

  addEventListener("keydown", (event) => {
    if (root.hidden || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select")) return;
    if (open?.key?.(event.key)) event.preventDefault();
  });

  return {
    show: draw,
    hide() {
      asking += 1;
      open?.stop?.();
    },
    focus: () => place.querySelector("a, button, select")?.focus(),
    escape: () => open?.escape?.() ?? false,
  };
}

async function overview() {
  const [{ runs }, { sets }, training] = await Promise.all([listRuns(), listSets(), listTraining()]);
  return [el("h1", {}, "Lab"), runs.length ? runTable(runs) : noRuns(), el("h2", {}, "Training"), trainingTable(training.runs), el("h2", {}, "Question sets"), sets.length ? setTable(sets) : noSets()];
}

const SIGNS = [["better", "▲"], ["worse", "▼"], ["no evidence", "="], ["underpowered", "?"]];

/** Sum an arm's verdicts up: `▲ 2 ▼ 1`, each with its name. */
function counted(verdicts) {
  return SIGNS.filter(([name]) => verdicts[name]).map(([name, sign]) => el("span", { class: `sign ${name.replace(" ", "-")}`, title: `${verdicts[name]} ${name}` }, `${sign} ${verdicts[name]}`));
}

function runTable(runs) {
  return el("div", { class: "wide-table" }, el("table", { class: "lab-table runs" },
    el("thead", {}, el("tr", {}, ["Run", "Set", "Questions", "Arms", "Failed"].map((name) => el("th", { scope: "col", class: name === "Questions" || name === "Failed" ? "num" : "" }, name)))),
    el("tbody", {}, runs.map((run) => el("tr", {},
      el("td", {}, el("a", { href: `#/lab?run=${encodeURIComponent(run.id)}` }, ago(run.created_at)), el("br"), el("span", { class: "muted small" }, run.id)),
      el("td", {}, run.set_name),
      el("td", { class: "num" }, formatCount(run.num_questions)),
      el("td", {}, el("ul", { class: "arms" }, run.arms.map((arm) => el("li", {}, arm, " ", counted(run.verdicts[arm] ?? {}))))),
      el("td", { class: run.num_failed ? "num error-text" : "num" }, formatCount(run.num_failed)))))));
}

function noRuns() {
  return el("div", { class: "empty" }, el("h2", {}, "No runs yet"), el("p", { class: "muted" }, "A run asks every question of a set of every arm, and weighs them: ", el("code", {}, "steelyard eval run --data SET --arms bm25,dense,hybrid"), "."));
}

function setTable(sets) {
  const told = (set, name) => formatCount(set.by_verdict[name] ?? 0);
  return el("div", { class: "wide-table" }, el("table", { class: "lab-table" },
    el("thead", {}, el("tr", {}, ["Set", "Questions", "Waiting", "Accepted", "Edited", "Rejected"].map((name, n) => el("th", { scope: "col", class: n ? "num" : "" }, name)))),
    el("tbody", {}, sets.map((set) => el("tr", {}, el("td", {}, el("a", { href: `#/lab?set=${encodeURIComponent(set.name)}` }, set.name)), el("td", { class: "num" }, formatCount(set.num_questions)), ["pending", "accept", "edit", "reject"].map((name) => el("td", { class: "num" }, told(set, name))))))));
}

function noSets() {
  return el("p", { class: "muted" }, "This home keeps none. ", el("code", {}, "steelyard data questions"), " makes one from its documents, to be looked through here.");
}

