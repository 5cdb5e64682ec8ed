// The plots of the costs, as SVG of the width there is: break-even, frontier, tornado.

import { el, fill } from "./dom.js";
import { BREAK, SWING, about, dollars, figure, inputName, number, short } from "./costs-numbers.js";
import { plural } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 1e-3; // dollars or questions: a logarithm has no zero
const EDGE = { left: 56, right: 14, top: 12, bottom: 44 };

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

/** Return a function from numbers to places, kept within both ends; NaN never leaves it. */
export function logScale(low, high, start, end) {
  const [from, to] = [Math.log10(Math.max(low, LEAST)), Math.log10(Math.max(high, low * 1.01, LEAST * 1.01))];
  const place = (value) => start + (end - start) * Math.min(1, Math.max(0, (Math.log10(Math.max(Number.isFinite(value) ? value : 0, LEAST)) - from) / (to - from)));
  const tens = [];
  for (let ten = Math.ceil(from - 1e-9); ten <= to + 1e-9; ten += 1) tens.push(10 ** ten);
  if (tens.length < 2) for (const ten of [Math.floor(from), Math.ceil(from)]) for (const step of [1, 2, 3, 5, 7]) if (step * 10 ** ten >= 10 ** from && step * 10 ** ten <= 10 ** to && !tens.includes(step * 10 ** ten)) tens.push(step * 10 ** ten);
  tens.sort((a, b) => a - b);
  const apart = Math.abs(end - start) / 46;
  const each = Math.max(1, Math.ceil(tens.length / apart));
  return { place, ticks: tens.filter((_, n) => n % each === 0) };
}

function linearScale(low, high, start, end) {
  const span = Math.max(high - low, 1e-9);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((size) => span / size <= 6) ?? 1;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) ticks.push(Number(tick.toFixed(4)));
  return { place: (value) => start + (end - start) * Math.min(1, Math.max(0, (value - low) / span)), ticks };
}

function frame({ width, height, x, y, xTitle, yTitle, label }) {
  const [bottom, right] = [height - EDGE.bottom, width - EDGE.right];
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "cost-plot", role: "img", "aria-label": label },
    y.ticks.map((tick) => [svg("path", { class: "grid", d: `M${EDGE.left} ${y.place(tick).toFixed(1)}H${right}` }), svg("text", { class: "tick", x: EDGE.left - 6, y: y.place(tick) + 4, "text-anchor": "end" }, short(tick))]),
    x.ticks.map((tick) => [svg("path", { class: "grid", d: `M${x.place(tick).toFixed(1)} ${EDGE.top}V${bottom}` }), svg("text", { class: "tick", x: x.place(tick), y: bottom + 16, "text-anchor": "middle" }, short(tick))]),
    svg("path", { class: "axis", d: `M${EDGE.left} ${EDGE.top}V${bottom}H${right}` }),
    svg("text", { class: "axis-title", x: (EDGE.left + right) / 2, y: height - 8, "text-anchor": "middle" }, xTitle),
    svg("text", { class: "axis-title", transform: `rotate(-90 13 ${(EDGE.top + bottom) / 2})`, x: 13, y: (EDGE.top + bottom) / 2, "text-anchor": "middle" }, yTitle));
}

const seriesClass = (row) => `series arm-${row.arm.replace("+", "-")} runs-${row.runs}`;
const rowsBy = (told) => new Map(told.options.map((row) => [row.option, row]));
const pathOf = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}`;

/** Draw again when the width changes. `paint(width)` returns nodes. */
function redrawn(node, paint) {
  let width = 0;
  const draw = () => {
    width = Math.round(node.clientWidth) || 640;
    fill(node, paint(width));
  };
  new ResizeObserver(() => Math.round(node.clientWidth) && Math.round(node.clientWidth) !== width && draw()).observe(node);
  return draw;
}

/** Cost over the horizon by volume, both on log scales; chosen ways show their bands and break-evens. */
export function makeBreakEven() {
  const plot = el("div", { class: "plot-place" });
  const legend = el("div", { class: "row legend-buttons", role: "group", "aria-label": "Ways whose band and break-even are shown" });
  const breaks = el("ul", { class: "plain-list" });
  const chosen = new Set();
  let told = null;
  let picked = ""; // for which recommendation the ways were chosen
  const draw = redrawn(plot, (width) => (told ? drawn(width) : null));

  function drawn(width) {
    const height = width < 480 ? 300 : 360;
    const { questions_per_day: asked, curves } = told.volumes;
    const all = curves.flatMap((one) => [...one.usd, ...(chosen.has(one.option) ? [...one.low_usd, ...one.high_usd] : [])]);
    const x = logScale(asked[0], asked.at(-1), EDGE.left, width - EDGE.right);
    const y = logScale(Math.min(...all), Math.max(...all), height - EDGE.bottom, EDGE.top);
    const rows = rowsBy(told);
    const bottom = height - EDGE.bottom;
    const found = shownBreaks();
    const months = told.scenario.choices.months;
    const picture = frame({ width, height, x, y, xTitle: "questions a day", yTitle: `USD over ${plural(months, "month")}`, label: `Cost over ${plural(months, "month")} by questions a day, both on logarithmic scales. ${found.map(sentence).join(" ")}` });
    const points = (values) => values.map((value, n) => [x.place(asked[n]), y.place(value)]);
    for (const one of curves.filter(({ option }) => chosen.has(option))) picture.append(svg("path", { class: `band ${seriesClass(rows.get(one.option))}`, d: `${pathOf([...points(one.high_usd), ...points(one.low_usd).reverse()])}Z` }));
    for (const one of curves) picture.append(svg("path", { class: `line ${seriesClass(rows.get(one.option))}${chosen.has(one.option) ? " strong" : ""}`, d: pathOf(points(one.usd)) }));
    const now = x.place(told.scenario.inputs.questions_per_day.value);
    picture.append(svg("path", { class: "now", d: `M${now.toFixed(1)} ${EDGE.top}V${bottom}` }), svg("text", { class: "tick", x: now + (now > width - 70 ? -4 : 4), y: EDGE.top + 10, "text-anchor": now > width - 70 ? "end" : "start" }, "now"));
    for (const one of found) {
      const at = x.place(one.questions_per_day);
      const curve = curves.find(({ option }) => option === one.cheaper);
      picture.append(svg("rect", { class: "break-band", x: x.place(one.low), y: EDGE.top, width: Math.max(1, x.place(one.high) - x.place(one.low)), height: bottom - EDGE.top }), svg("path", { class: "break", d: `M${at.toFixed(1)} ${EDGE.top}V${bottom}` }), svg("circle", { class: "break-mark", cx: at, cy: y.place(between(asked, curve.usd, one.questions_per_day)), r: 5 }));
    }
    return picture;
  }

  const shownBreaks = () => told.volumes.breaks.filter((one) => chosen.has(one.cheaper) && chosen.has(one.dearer));
  const title = (option) => rowsBy(told).get(option).title;
  const sentence = (one) => `From ${about(one.questions_per_day)} questions a day on, ${title(one.cheaper)} costs less than ${title(one.dearer)}.`;

  function list() {
    const found = shownBreaks();
    const low = about(told.volumes.questions_per_day[0]);
    const high = about(told.volumes.questions_per_day.at(-1));
    fill(breaks, found.map((one) => el("li", {}, "From ", figure(about(one.questions_per_day), BREAK(one)), el("span", { class: "muted" }, ` (${about(one.low)} – ${about(one.high)})`), ` questions a day on, ${title(one.cheaper)} costs less than ${title(one.dearer)}.`)),
      found.length ? null : el("li", { class: "muted" }, chosen.size < 2 ? "Choose two ways to see where they break even." : `From ${low} to ${high} questions a day the lines of these do not cross.`));
  }

  function toggle(option) {
    if (!chosen.delete(option)) chosen.add(option);
    show(told);
  }

  function show(next) {
    told = next;
    const options = told.options.map(({ option }) => option);
    for (const option of chosen) if (!options.includes(option)) chosen.delete(option);
    if (picked !== told.recommended || !chosen.size) {
      picked = told.recommended;
      chosen.clear();
      [told.recommended ?? options[0], rivalOf(told)].filter(Boolean).forEach((option) => chosen.add(option));
    }
    fill(legend, told.options.map((row) => el("button", { type: "button", class: "chip", "aria-pressed": String(chosen.has(row.option)), on: { click: () => toggle(row.option) } }, svg("svg", { width: 26, height: 8, "aria-hidden": "true" }, svg("path", { class: `line strong ${seriesClass(row)}`, d: "M0 4H26" })), row.title)));
    draw();
    list();
  }

  return { node: el("div", {}, plot, legend, breaks), show };
}

/** Return the way to compare the recommended one with: the cheapest that breaks even with it nearest to now. */
function rivalOf(told) {
  const best = told.recommended ?? told.options[0].option;
  const now = Math.log(told.scenario.inputs.questions_per_day.value);
  const crossing = told.volumes.breaks.filter((one) => one.cheaper === best || one.dearer === best).sort((a, b) => Math.abs(Math.log(a.questions_per_day) - now) - Math.abs(Math.log(b.questions_per_day) - now))[0];
  if (crossing) return crossing.cheaper === best ? crossing.dearer : crossing.cheaper;
  return told.rivals[0] ?? told.options.find(({ option }) => option !== best)?.option;
}

/** Return the value of a curve at a volume, straight between its points in logarithms. */
function between(asked, values, at) {
  const place = Math.max(1, asked.findIndex((one) => one >= at));
  const part = Math.log(at / asked[place - 1]) / Math.log(asked[place] / asked[place - 1]);
  return Math.exp(Math.log(Math.max(values[place - 1], LEAST)) * (1 - part) + Math.log(Math.max(values[place], LEAST)) * part);
}

export const letterOf = (n) => String.fromCharCode(65 + n);

/** Return the nearest place to a point where a circle covers no other one. */
function free(x, y, radius, taken, width, height) {
  for (let away = 0; away < 160; away += 6)
    for (let turn = 0; turn < (away ? 12 : 1); turn += 1) {
      const [cx, cy] = [x + away * Math.cos((turn * Math.PI) / 6), y - away * Math.sin((turn * Math.PI) / 6)];
      const inside = cx > EDGE.left + radius && cx < width - radius && cy > radius && cy < height - EDGE.bottom - radius;
      if ((inside || !away) && taken.every(([tx, ty, other]) => Math.hypot(tx - cx, ty - cy) > radius + other + 1)) return [cx, cy];
    }
  return [x, y];
}

/** Quality by cost: what no other way beats in everything is joined; circles grow with the wait. */
export function makeFrontier() {
  const plot = el("div", { class: "plot-place" });
  const key = el("ul", { class: "letters" });
  let told = null;
  const draw = redrawn(plot, (width) => (told ? drawn(width) : null));

  function drawn(width) {
    const height = width < 480 ? 300 : 340;
    const rows = told.options;
    const x = logScale(Math.min(...rows.map((row) => row.total_usd.low)) * 0.8, Math.max(...rows.map((row) => row.total_usd.high)) * 1.2, EDGE.left, width - EDGE.right);
    const low = Math.min(...rows.map(({ quality }) => quality.low));
    const high = Math.max(...rows.map(({ quality }) => quality.high));
    const y = linearScale(Math.max(0, low - 0.03), Math.min(1, high + 0.03), height - EDGE.bottom, EDGE.top);
    const months = told.scenario.choices.months;
    const picture = frame({ width, height, x, y, xTitle: `USD over ${plural(months, "month")}`, yTitle: told.measured.measure, label: `Quality by cost. ${rows.map((row, n) => `${letterOf(n)}, ${row.title}: ${dollars(row.total_usd.value)} USD, quality ${row.quality.value.toFixed(3)}, first word ${number(row.first_word_ms.value)} ms${row.on_frontier ? ", on the frontier" : ""}`).join("; ")}` });
    const front = rows.filter((row) => row.on_frontier).sort((a, b) => a.total_usd.value - b.total_usd.value);
    const slowest = Math.max(...rows.map(({ first_word_ms: wait }) => wait.value), 1);
    if (front.length > 1) picture.append(svg("path", { class: "frontier", d: pathOf(front.map((row) => [x.place(row.total_usd.value), y.place(row.quality.value)])) }));
    for (const row of rows) picture.append(svg("path", { class: `whisker ${seriesClass(row)}`, d: `M${x.place(row.total_usd.low).toFixed(1)} ${y.place(row.quality.value).toFixed(1)}H${x.place(row.total_usd.high).toFixed(1)}M${x.place(row.total_usd.value).toFixed(1)} ${y.place(row.quality.low).toFixed(1)}V${y.place(row.quality.high).toFixed(1)}` }));
    const taken = [];
    for (const row of rows) {
      const [px, py] = [x.place(row.total_usd.value), y.place(row.quality.value)];
      const radius = 7 + 7 * Math.sqrt(row.first_word_ms.value / slowest);
      const [cx, cy] = free(px, py, radius, taken, width, height);
      taken.push([cx, cy, radius]);
      if (cx !== px || cy !== py) picture.append(svg("path", { class: `leader ${seriesClass(row)}`, d: pathOf([[px, py], [cx, cy]]) }), svg("circle", { class: `dot-point ${seriesClass(row)}`, cx: px, cy: py, r: 3 }));
    }
    rows.forEach((row, n) => {
      const [cx, cy, radius] = taken[n];
      picture.append(svg("circle", { class: `point ${seriesClass(row)}${row.on_frontier ? " front" : ""}${row.option === told.recommended ? " best" : ""}${row.excluded ? " out" : ""}`, cx, cy, r: radius }), svg("text", { class: "letter", x: cx, y: cy + 4, "text-anchor": "middle" }, letterOf(n)));
    });
    return picture;
  }

  return {
    node: el("div", {}, plot, key, el("p", { class: "muted small" }, "Whiskers: between which values 90 of 100 draws lie. A filled circle: no other way is cheaper, better and quicker at once. The larger the circle, the longer the wait.")),
    show(next) {
      told = next;
      fill(key, told.options.map((row, n) => el("li", {}, el("b", { class: `letter-badge arm-${row.arm.replace("+", "-")}` }, letterOf(n)), `${row.title}, first word `, figure(`${number(row.first_word_ms.value)} ms`, row.formulas.first_word_ms))));
      draw();
    },
  };
}

const MOST_SWINGS = 10;

/** What each input's own range does to the recommended way's total, widest first. */
export function makeTornado(specs) {
  const rows = el("ol", { class: "tornado" });
  const axis = el("div", { class: "plot-place" });
  const about = el("p", { class: "muted small" });
  let told = null;

  const scale = (width) => {
    const all = told.tornado.slice(0, MOST_SWINGS).flatMap((one) => [one.total_at_low, one.total_at_high]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const x = logOrNot(low, high, width);
    return x;
  };
  const draw = redrawn(axis, (width) => {
    if (!told?.tornado.length) return null;
    const x = scale(width);
    rows.querySelectorAll(".swing").forEach((place, n) => fill(place, bar(told.tornado[n], x, width)));
    return svg("svg", { viewBox: `0 0 ${width} 40`, width, height: 40, class: "cost-plot", "aria-hidden": "true" }, svg("path", { class: "axis", d: `M0 2H${width}` }), x.ticks.map((tick) => svg("text", { class: "tick", x: x.place(tick), y: 18, "text-anchor": x.place(tick) < 20 ? "start" : x.place(tick) > width - 20 ? "end" : "middle" }, short(tick))), svg("text", { class: "axis-title", x: width / 2, y: 36, "text-anchor": "middle" }, `USD over ${plural(told.scenario.choices.months, "month")}`));
  });

  function bar(one, x, width) {
    const total = swungRow().total_usd.value;
    const piece = (name, value) => svg("rect", { class: name, x: Math.min(x.place(value), x.place(total)), y: 3, width: Math.max(1, Math.abs(x.place(value) - x.place(total))), height: 10 });
    return svg("svg", { viewBox: `0 0 ${width} 16`, width, height: 16, class: "cost-plot", role: "img", "aria-label": `${inputName(one.input, specs)}: ${dollars(one.total_at_low)} to ${dollars(one.total_at_high)} USD` }, piece("at-low", one.total_at_low), piece("at-high", one.total_at_high), svg("path", { class: "now", d: `M${x.place(total).toFixed(1)} 0V16` }));
  }

  const swungRow = () => told.options.find(({ option }) => option === told.recommended) ?? told.options[0];

  return {
    node: el("div", {}, about, rows, axis),
    show(next) {
      told = next;
      const found = told.tornado.slice(0, MOST_SWINGS);
      fill(about, found.length ? `The total of ${swungRow().title}, with one input at the lowest (blue) and at the highest (amber) of its range and all others as stated.` : "Every input is stated without a range: nothing swings.");
      fill(rows, found.map((one) => el("li", {}, el("div", { class: "row" }, figure(inputName(one.input, specs), one.input, { class: "figure name" }), el("span", { class: "muted small num" }, `${number(one.low)} – ${number(one.high)}`), el("span", { class: "grow" }), el("span", { class: "num" }, figure(dollars(one.total_at_low), SWING(one, "lowest")), el("span", { class: "muted" }, " – "), figure(dollars(one.total_at_high), SWING(one, "highest")))), el("div", { class: "swing" }))));
      draw();
    },
  };
}

/** A logarithmic scale where the ends are far apart, else a straight one with round steps. */
function logOrNot(low, high, width) {
  if (low > 0 && high / low > 8) return logScale(low, high, 0, width);
  const span = Math.max(high - low, Math.abs(high) * 1e-3, 1e-6);
  const power = 10 ** Math.floor(Math.log10(span));
  const step = [0.2, 0.5, 1, 2, 5].map((size) => size * power).find((size) => span / size <= Math.max(2, width / 110)) ?? 5 * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(tick);
  return { place: (value) => width * Math.min(1, Math.max(0, (value - low) / span)), ticks };
}
