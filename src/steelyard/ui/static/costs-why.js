// Where a number comes from: its formula, the numbers in it, their sources and dates.

import { el, fill, icon } from "./dom.js";
import { dollars, figure, number, valueOf } from "./costs-numbers.js";

const MARKS = { vendor: "by its seller", repository: "from a public collection of prices", secondary: "by a page about it", unverified: "not verified", assumed: "a stated default, nobody's price", user: "your own" };

/** Return {open(name), show(trace)}: the trace is what `wholeTrace` gives. */
export function makeWhy() {
  let trace = {};
  let path = [];
  const body = el("div", { class: "why-body" });
  const back = el("button", { type: "button", class: "quiet small", on: { click: goBack } }, icon("previous"), "Back");
  const dialog = el("dialog", { class: "modal why", "aria-labelledby": "why-title" },
    el("div", { class: "row" }, back, el("span", { class: "grow" }), el("button", { type: "button", class: "quiet icon-only", "aria-label": "Close", on: { click: () => dialog.close() } }, icon("close"))),
    body);
  dialog.addEventListener("click", (event) => {
    const asked = event.target.closest("[data-why]");
    if (asked) open(asked.dataset.why);
    else if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    path = [];
  });

  function goBack() {
    path.pop();
    draw();
  }

  function open(name) {
    if (!trace[name]) return;
    path.push(name);
    draw();
    if (!dialog.open) dialog.showModal();
  }

  function draw() {
    const name = path.at(-1);
    const found = trace[name];
    back.hidden = path.length < 2;
    fill(body, el("h2", { id: "why-title", tabindex: "-1" }, name), el("p", { class: "why-value num" }, valueOf(found)), found.band && found.band.low < found.band.high ? el("p", { class: "muted small" }, `90 of 100 draws: ${written(found, found.band.low)} – ${written(found, found.band.high)}`) : null, found.origin ? origin(found.origin) : formula(found), found.note ? el("p", { class: "muted small" }, found.note) : null, found.parts ? parts(found.parts) : null);
    body.scrollTop = 0;
  }

  function formula(found) {
    return [
      el("p", { class: "formula" }, linked(found.formula, found.inputs)),
      el("dl", { class: "why-inputs" }, found.inputs.filter((name) => trace[name]).map((name) => [el("dt", {}, name), el("dd", {}, figure(valueOf(trace[name]), name), trace[name].origin ? el("span", { class: "muted small" }, ` ${trace[name].origin.source}${trace[name].origin.seen ? `, ${trace[name].origin.seen}` : ""}`) : null)])),
    ];
  }

  /** Return a formula's text in which every name of a number is a button. */
  function linked(text, names) {
    const pieces = [text];
    for (const name of [...names].sort((a, b) => b.length - a.length)) {
      for (let i = 0; i < pieces.length; i += 1) {
        if (typeof pieces[i] !== "string" || !trace[name]) continue;
        const at = pieces[i].indexOf(name);
        if (at < 0) continue;
        pieces.splice(i, 1, pieces[i].slice(0, at), figure(name, name), pieces[i].slice(at + name.length));
        i += 1;
      }
    }
    return pieces.filter((piece) => piece !== "");
  }

  document.body.append(dialog);
  return {
    open,
    show(told) {
      trace = told;
      if (!dialog.open) return;
      path = path.filter((name) => trace[name]);
      if (path.length) draw();
      else dialog.close();
    },
  };
}

const written = ({ unit }, value) => (unit.startsWith("USD") ? dollars(value) : number(value));

function origin({ what, source, seen, mark, warnings }) {
  const row = (name, value) => (value ? [el("dt", {}, name), el("dd", {}, value)] : null);
  return [
    el("dl", { class: "facts" }, row("What", what), row("Source", source), row("Date", seen || (source === "by definition" ? "" : "none, as it is not a quotation")), row("Attested", mark ? (MARKS[mark] ?? mark) : "")),
    warnings.map((warning) => el("p", { class: "notice warn" }, warning)),
  ];
}

function parts({ parts: amounts, formulas }) {
  const rows = Object.entries(amounts).sort((a, b) => b[1] - a[1]);
  return [
    el("h3", {}, "What the total is made of"),
    el("dl", { class: "why-inputs" }, rows.map(([name, amount]) => [el("dt", {}, name), el("dd", {}, figure(`${dollars(amount)} USD`, formulas[name]))])),
  ];
}
