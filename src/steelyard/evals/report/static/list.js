// The list of questions: sorted and filtered here, only the rows in sight are in the document.

const ROW = 46; // px, as in the style sheet
const SPARE = 6; // rows beyond the edge

const ORDERS = [
  ["loss", "worst losses first"],
  ["win", "biggest wins first"],
  ["change", "largest changes first"],
  ["set", "in the set's order"],
];
const ALONE = [["loss", "lowest first"], ["win", "highest first"], ["set", "in the set's order"]];
const OUTCOMES = [["", "all"], ["lost", "lost"], ["won", "won"], ["same", "the same"], ["failed", "failed"]];

class QuestionList {
  constructor(index, onOpen) {
    this.index = index;
    this.onOpen = onOpen;
    this.node = document.getElementById("list");
    this.rows = []; // places in the set, as shown
    this.chosen = -1; // place in `rows`
    this.inside = el("div", { class: "inside" });
    this.node.append(this.inside);
    this.failed = index.arms.map((arm) => new Set(arm.failed));
    this.base = index.arms.length > 1 ? index.arms.findIndex(({ name }) => name === index.baseline) : -1;
    this.filters = this.makeFilters();
    this.node.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.refresh();
  }

  makeFilters() {
    const { index } = this;
    const again = () => this.refresh();
    const others = index.arms.map(({ name }, n) => [n, name]).filter(([n]) => n !== this.base);
    const measures = index.measures.map(({ name }, n) => [n, name]);
    const types = [...new Set(index.types)].filter(Boolean).sort();
    const made = {
      text: el("input", { type: "search", placeholder: "Filter by words or id", "aria-label": "Filter by words or id", on: { input: again } }),
      order: choice("Order", this.base < 0 ? ALONE : ORDERS, again),
      arm: choice("Arm", others, again),
      measure: choice("Measure", measures, again),
      outcome: choice("Outcome", this.base < 0 ? OUTCOMES.filter(([value]) => !value || value === "failed") : OUTCOMES, again),
      type: choice("Type", [["", "all"], ...types.map((type) => [type, type])], again),
    };
    made.arm.select.value = others.at(-1)?.[0] ?? 0;
    made.measure.select.value = Math.max(0, index.measures.findIndex((m) => m.quality));
    const shown = [made.order, made.arm, made.measure, made.outcome];
    if (types.length > 1) shown.push(made.type);
    document.getElementById("filters").append(made.text, ...shown.map(({ node }) => node));
    return made;
  }

  get arm() {
    return Number(this.filters.arm.select.value);
  }

  get measure() {
    return Number(this.filters.measure.select.value);
  }

  /** What the arm gained on the baseline, more is better; alone, its value. null: does not apply. */
  gain(place) {
    const { index } = this;
    const value = index.values[this.arm][this.measure]?.[place] ?? null;
    const base = this.base < 0 ? 0 : (index.values[this.base][this.measure]?.[place] ?? null);
    if (value === null || base === null) return null;
    return (value - base) * (index.measures[this.measure].lower ? -1 : 1);
  }

  refresh() {
    const { index, filters } = this;
    const words = filters.text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const [outcome, type] = [filters.outcome.select.value, filters.type.select.value];
    const open = this.rows[this.chosen];
    this.gains = index.ids.map((_, place) => this.gain(place));
    const fits = (place) => {
      if (type && index.types[place] !== type) return false;
      if (outcome && !this.hasOutcome(place, outcome)) return false;
      if (!words.length) return true;
      const text = `${index.ids[place]} ${index.texts[place]}`.toLowerCase();
      return words.every((word) => text.includes(word));
    };
    this.rows = this.sorted(index.ids.map((_, place) => place).filter(fits));
    this.chosen = open === undefined ? -1 : this.rows.indexOf(open);
    document.getElementById("count").textContent = this.told(index.ids.length);
    this.node.scrollTop = 0;
    this.draw();
  }

  hasOutcome(place, outcome) {
    const gain = this.gains[place];
    if (outcome === "failed") return this.failed[this.arm].has(this.index.ids[place]) || this.failed[this.base]?.has(this.index.ids[place]);
    if (gain === null) return false;
    return outcome === "lost" ? gain < 0 : outcome === "won" ? gain > 0 : gain === 0;
  }

  sorted(places) {
    const order = this.filters.order.select.value;
    if (order === "set") return places;
    const key = { loss: (gain) => gain, win: (gain) => -gain, change: (gain) => -Math.abs(gain) }[order];
    const value = (place) => (this.gains[place] === null ? Infinity : key(this.gains[place]));
    return places.sort((a, b) => (value(a) === value(b) ? a - b : value(a) - value(b)));
  }

  told(num) {
    const { index } = this;
    const lone = this.base < 0;
    const what = `${index.measures[this.measure]?.name ?? "nothing"} of ${index.arms[this.arm].name}${lone ? "" : ` against ${index.baseline}`}`;
    const count = (test) => this.rows.filter((place) => this.gains[place] !== null && test(this.gains[place])).length.toLocaleString("en");
    const sum = lone ? "" : `: ${count((g) => g > 0)} won, ${count((g) => g < 0)} lost, ${count((g) => g === 0)} the same`;
    return `${this.rows.length.toLocaleString("en")} of ${num.toLocaleString("en")} questions, ${what}${sum}. Keys: j and k.`;
  }

  draw() {
    const first = Math.max(0, Math.floor(this.node.scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((this.node.scrollTop + this.node.clientHeight) / ROW) + SPARE);
    this.inside.style.height = `${this.rows.length * ROW}px`;
    const rows = [];
    for (let n = first; n < last; n += 1) rows.push(this.row(n));
    this.inside.replaceChildren(...(this.rows.length ? rows : [el("p", { class: "soft" }, "No question matches.")]));
    const active = this.chosen >= first && this.chosen < last ? `row-${this.chosen}` : null;
    if (active) this.node.setAttribute("aria-activedescendant", active);
    else this.node.removeAttribute("aria-activedescendant");
  }

  row(n) {
    const { index } = this;
    const place = this.rows[n];
    const gain = this.gains[place];
    const measure = index.measures[this.measure];
    const lone = this.base < 0;
    const failed = this.failed[this.arm].has(index.ids[place]);
    const delta = gain === null ? null : measure.lower ? -gain : gain;
    const text = failed ? "failed" : lone ? shown(measure, delta) : shownDelta(measure, delta);
    const kind = failed || (gain < 0 && !lone) ? "loss" : gain > 0 && !lone ? "gain" : "even";
    const node = el("div", { class: "item", role: "option", id: `row-${n}`, "aria-selected": n === this.chosen ? "true" : "false", on: { click: () => this.choose(n) } },
      el("span", { class: `delta ${kind}` }, text), el("span", { class: "asked" }, index.texts[place]), index.types[place] ? el("span", { class: "type" }, index.types[place]) : null);
    node.style.top = `${n * ROW}px`;
    return node;
  }

  choose(n, { scroll = false } = {}) {
    if (n < 0 || n >= this.rows.length) return;
    this.chosen = n;
    if (scroll) {
      const top = n * ROW;
      if (top < this.node.scrollTop) this.node.scrollTop = top;
      else if (top + ROW > this.node.scrollTop + this.node.clientHeight) this.node.scrollTop = top + ROW - this.node.clientHeight;
    }
    this.draw();
    this.onOpen(this.rows[n]);
  }

  step(by) {
    this.choose(Math.max(0, Math.min(this.rows.length - 1, this.chosen + by)), { scroll: true });
  }

  /** Choose the question with this id, also where a filter hides it. */
  find(id) {
    const place = this.index.ids.indexOf(id);
    if (place < 0) return false;
    if (!this.rows.includes(place)) {
      for (const name of ["outcome", "type"]) this.filters[name].select.value = "";
      this.filters.text.value = "";
      this.refresh();
    }
    this.choose(this.rows.indexOf(place), { scroll: true });
    return true;
  }
}
