// What serves: the champion of each kind, what a rollback goes to, and how it came about.

import { advice, getRegistry, getRegistryHistory, rollBack } from "./api.js";
import { el, fill, toast } from "./dom.js";
import { ago, formatCount } from "./text.js";

const SHOWN = 12; // events
const AGAIN = 15; // drawings between two looks at a registry that nobody here changed
const DID = { register: "registered", weigh: "weighed", promote: "promoted", rollback: "rolled back" };

export function makeServed() {
  const told = el("div");
  const kinds = el("div");
  const history = el("div");
  const node = el("section", { class: "served", hidden: true }, el("h2", {}, "What serves"), told, kinds, history);
  let seen = "";
  let drawn = 0;

  async function look() {
    const [registry, { events }] = await Promise.all([getRegistry({ background: true }), getRegistryHistory(SHOWN, { background: true })]);
    const names = new Map(registry.versions.map((one) => [one.id, one.name]));
    const name = (version) => (version ? `${names.get(version) ?? "?"} ` : "no version");
    const known = Object.entries(registry.aliases).filter(([, aliases]) => aliases.champion || aliases.challenger || aliases.previous);
    fill(kinds, known.length ? kindList(known, name, refresh) : el("p", { class: "small muted" }, "Nothing was promoted: all is as the settings say."));
    fill(history, events.length ? eventList(events.slice(-SHOWN).reverse(), name) : null);
  }

  async function refresh() {
    try {
      await look();
    } catch (error) {
      fill(kinds, el("p", { class: "small error-text" }, `${error.message} ${advice(error)}`));
    }
  }

  function draw(serving) {
    node.hidden = !serving;
    if (!serving) return;
    fill(told, warnings(serving));
    const now = JSON.stringify([serving.champion, serving.previous, serving.last_swap, serving.refused]);
    if (now === seen && ++drawn % AGAIN) return;
    seen = now;
    if (!node.querySelector("form")) refresh(); // not under somebody's hands
  }

  return { node, draw };
}

function warnings({ refused, embedding, draining }) {
  return [
    refused ? el("div", { class: "notice bad", role: "alert" }, el("strong", {}, "What was promoted does not serve."), " ", refused.reason) : null,
    embedding ? el("p", { class: "notice" }, `A new embedder: ${formatCount(embedding.done)} of ${formatCount(embedding.total)} passages have its vectors. The old one answers meanwhile.`) : null,
    draining ? el("p", { class: "small muted" }, `${formatCount(draining)} still on what answered before.`) : null,
  ];
}

const id = (version) => (version ? el("code", { class: "small muted" }, version.slice(0, 12)) : null);

function kindList(kinds, name, refresh) {
  return el("ul", { class: "served-kinds" }, kinds.map(([kind, aliases]) => {
    const back = el("div");
    const rest = () => fill(back, aliases.champion ? backButton(kind, ask) : null);
    const ask = () => {
      fill(back, backForm(kind, name(aliases.previous), refresh, () => {
        rest();
        back.querySelector("button").focus();
      }));
      back.querySelector("input").focus();
    };
    rest();
    const fact = (what, alias) => el("p", { class: "small muted" }, `${what}: `, name(aliases[alias]), id(aliases[alias]));
    return el("li", { "data-kind": kind },
      el("div", {}, el("p", {}, el("span", { class: "muted" }, `${kind}: `), el("strong", {}, name(aliases.champion)), id(aliases.champion)),
        aliases.champion ? fact("A rollback goes to", "previous") : null,
        aliases.challenger ? fact("Weighed last, does not serve", "challenger") : null),
      back);
  }));
}

const backButton = (kind, onClick) => el("button", { type: "button", class: "quiet", "aria-label": `Roll back the ${kind}`, on: { click: onClick } }, "Roll back");

function backForm(kind, to, refresh, cancel) {
  const why = el("input", { type: "text", maxlength: 2000, "aria-label": "Why", placeholder: "Why, for the history" });
  const problem = el("p", { class: "small error-text", role: "alert" });
  const go = el("button", { type: "submit", class: "primary" }, `Go back to ${to.trim()}`);
  const form = el("form", {}, why, el("div", { class: "row" }, go, el("button", { type: "button", class: "quiet", on: { click: cancel } }, "Cancel")), problem);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      const done = await rollBack(kind, why.value);
      if (done.refused) throw new Error(`It does not serve: ${done.refused.reason}`);
      toast(`The ${kind} is ${to.trim()} again.`);
      form.remove();
      await refresh();
    } catch (error) {
      go.disabled = false;
      fill(problem, `${error.message} ${error.code ? advice(error) : ""}`);
    }
  });
  return form;
}

function eventList(events, name) {
  return el("details", {}, el("summary", {}, "How it came about"),
    el("ul", { class: "served-history" }, events.map((one) => el("li", {},
      `${one.kind} ${name(one.version)}`, id(one.version), ` ${DID[one.action] ?? one.action} by ${one.who}`, one.forced ? el("strong", { class: "error-text" }, " without a passed gate") : null, one.why ? `: ${one.why}` : null, el("span", { class: "small muted" }, `, ${ago(one.at)}`)))));
}
