// The inputs of a scenario as sliders and fields in groups, and its choices.

import { el, fill } from "./dom.js";
import { number, unitOf } from "./costs-numbers.js";

const STEPS = 1000; // of a slider
const DECADES = 3; // that it reaches below and above the named scenario's value, on a log scale
const OPEN = new Set(["traffic", "documents", "needs"]);

const CHOICES = {
  api_model: ["Model on a seller's API", "none"],
  tuned_model: ["Tuned model on a seller's API", "none"],
  gpu: ["GPU of one's own", "none"],
  training: ["Training sold by", null],
  embedding: ["Embedding sold by", "our own, no price a token"],
  vector_db: ["Vector database", "our own, on disk"],
  server: ["Server", null],
  disk: ["Disk", null],
  person: ["A person's hour", null],
};

/** Return {place, value} between a slider's 0 to 1 and numbers; an end of 0 on a log scale stays reachable. */
export function sliderScale(spec, about) {
  if (spec.log) {
    const middle = Math.max(about || spec.default, spec.low, 1e-6);
    const least = Math.max(spec.low, middle / 10 ** DECADES, 1e-6);
    const most = Math.min(spec.high, Math.max(middle, 1) * 10 ** DECADES);
    const span = Math.log(most / least);
    const bottom = spec.low === 0 ? 0.02 : 0; // the slider's first fiftieth is 0 itself
    return {
      value: (at) => (at < bottom ? 0 : rounded(least * Math.exp((span * (at - bottom)) / (1 - bottom)), spec)),
      place: (value) => (value < least ? (value > 0 ? bottom : 0) : Math.min(1, bottom + ((1 - bottom) * Math.log(value / least)) / span)),
    };
  }
  const high = spec.high <= 1 || spec.high - spec.low <= 50 * (about || spec.default) ? spec.high : Math.min(spec.high, 10 * Math.max(about, spec.default) || 1);
  return {
    value: (at) => rounded(spec.low + (high - spec.low) * at, spec),
    place: (value) => Math.min(1, Math.max(0, (value - spec.low) / (high - spec.low))),
  };
}

/** Return a number with the digits that a hand on a slider means, within what is allowed. */
function rounded(value, spec) {
  const digits = Math.abs(value) >= 1000 ? 3 : 2;
  return Math.min(spec.high, Math.max(spec.low, Number(value.toPrecision(digits))));
}

/** Read what was typed: a number, `low..value..high`, or the text itself for the server to refuse. */
export function typed(text) {
  const plain = (part) => {
    const bare = part.replace(/[\s,_]/g, "");
    return bare !== "" && Number.isFinite(Number(bare)) ? Number(bare) : part.trim();
  };
  const parts = text.split("..");
  if (parts.length === 3) return { low: plain(parts[0]), value: plain(parts[1]), high: plain(parts[2]) };
  return plain(text);
}

const GROUPED = new Intl.NumberFormat("en", { maximumSignificantDigits: 10 });
const written = (value) => GROUPED.format(value);
const asTyped = (raw) => (typeof raw === "number" ? written(raw) : typeof raw === "object" && raw !== null ? `${raw.low}..${raw.value}..${raw.high}` : String(raw));

/** `change(key, value)`: undefined takes a value back. Returns {node, show(state, base, told), fault(message)}. */
export function makeInputs(offered, change) {
  const rows = new Map();
  const groups = new Map();
  for (const spec of offered.inputs) {
    const row = makeRow(spec, change);
    rows.set(spec.key, row);
    if (!groups.has(spec.group)) groups.set(spec.group, []);
    groups.get(spec.group).push(row.node);
  }
  const choices = makeChoices(offered.items, change);
  const now = el("p", { class: "now-line small", "aria-live": "polite" });
  const asked = el("ul", { class: "what-ifs" });
  const node = el("section", { class: "cost-inputs", "aria-label": "Inputs" }, el("h2", {}, "Inputs"), now, asked,
    [...groups].map(([name, nodes]) => el("details", { open: OPEN.has(name), "data-group": name }, el("summary", {}, name[0].toUpperCase() + name.slice(1)), nodes)),
    el("details", { open: true, "data-group": "choices" }, el("summary", {}, "What is bought"), choices.node));

  return {
    node,
    now,
    show(state, base) {
      for (const [key, row] of rows) row.show(base.inputs[key], state.given[key]);
      choices.show(base.choices, state.given);
      fill(asked, Object.entries(state.whatIf).map(([name, value]) => el("li", {}, `what if ${name} = ${number(value)}`, el("button", { type: "button", class: "quiet small", "aria-label": `Forget ${name}`, on: { click: () => change(name, undefined, { whatIf: true }) } }, "✕"))));
    },
    /** Mark the fields that a refusal names. */
    fault(message) {
      for (const [key, row] of rows) row.fault(new RegExp(`(^|[ ;])${key}(\\.\\w+)?:`).test(message));
    },
    focus: () => rows.values().next().value.field.focus(),
  };
}

function makeRow(spec, change) {
  let base = null;
  let scale = null;
  const id = `cost-${spec.key}`;
  const field = el("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", size: "9", on: { change: () => change(spec.key, typed(field.value)) } });
  const slider = el("input", { type: "range", min: "0", max: String(STEPS), "aria-label": `${spec.what}, slider`, on: { input: slide } });
  const origin = el("span", { class: "origin small" });
  const reset = el("button", { type: "button", class: "quiet small reset", hidden: true, "aria-label": `Reset ${spec.what}`, on: { click: () => change(spec.key, undefined) } }, "reset");
  const node = el("div", { class: "cost-input", "data-key": spec.key }, el("label", { for: id }, spec.what), slider, el("span", { class: "row" }, field, el("span", { class: "muted small" }, unitOf(spec.unit)), el("span", { class: "grow" }), origin, reset));

  function slide() {
    const value = scale.value(Number(slider.value) / STEPS);
    field.value = written(value);
    slider.setAttribute("aria-valuetext", `${number(value)} ${unitOf(spec.unit)}`);
    change(spec.key, value);
  }

  return {
    node,
    field,
    show(named, given) {
      base = named;
      scale = sliderScale(spec, base.value);
      const mine = given !== undefined;
      const value = mine ? (typeof given === "object" ? given.value : given) : base.value;
      if (document.activeElement !== field) field.value = mine ? asTyped(given) : written(base.value);
      if (document.activeElement !== slider && Number.isFinite(value)) slider.value = String(Math.round(STEPS * scale.place(value)));
      if (Number.isFinite(value)) slider.setAttribute("aria-valuetext", `${number(value)} ${unitOf(spec.unit)}`);
      reset.hidden = !mine;
      node.dataset.origin = mine ? "yours" : base.default ? "default" : "scenario";
      const range = !mine && base.low < base.high ? ` ${number(base.low)} – ${number(base.high)}` : "";
      fill(origin, mine ? `yours, was ${number(base.value)}` : `${base.default ? "default" : "scenario"}${range}`);
      origin.title = mine ? "" : base.source;
    },
    fault(wrong) {
      if (wrong) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    },
  };
}

function makeChoices(items, change) {
  const models = el("datalist", { id: "cost-models" }, items.model.map((one) => el("option", { value: one.item }, one.costs)));
  const months = el("input", { id: "cost-months", type: "text", inputmode: "numeric", size: "4", on: { change: () => change("months", typed(months.value)) } });
  const fields = new Map([["months", months]]);
  const nodes = [el("div", { class: "cost-choice" }, el("label", { for: "cost-months" }, "Months"), months)];
  for (const [key, [name, without]] of Object.entries(CHOICES)) {
    const id = `cost-${key}`;
    const field = key.endsWith("_model")
      ? el("input", { id, type: "text", list: "cost-models", placeholder: without, autocomplete: "off", spellcheck: "false", on: { change: () => change(key, field.value.trim()) } })
      : el("select", { id, on: { change: () => change(key, field.value) } }, without === null ? null : el("option", { value: "" }, without), items[key].map((one) => el("option", { value: one.item }, `${one.item}, ${one.costs}`)));
    fields.set(key, field);
    nodes.push(el("div", { class: "cost-choice" }, el("label", { for: id }, name), field));
  }
  for (const [key, name] of [["private", "Questions and documents may not leave"], ["citations", "An answer must show its source"]]) {
    const id = `cost-${key}`;
    const field = el("input", { id, type: "checkbox", on: { change: () => change(key, field.checked) } });
    fields.set(key, field);
    nodes.push(el("div", { class: "cost-choice check" }, field, el("label", { for: id }, name)));
  }
  return {
    node: el("div", { class: "cost-choices" }, models, nodes),
    show(base, given) {
      for (const [key, field] of fields) {
        const value = given[key] ?? base[key];
        if (field.type === "checkbox") field.checked = value === true;
        else if (document.activeElement !== field || field.tagName === "SELECT") {
          if (field.tagName === "SELECT" && ![...field.options].some((one) => one.value === value)) field.append(el("option", { value }, value)); // the book no longer offers it
          field.value = String(value);
        }
        field.closest(".cost-choice").dataset.origin = given[key] === undefined ? "" : "yours";
      }
    },
  };
}
