// Small drawings for numbers that stand beside them: lines, shares, columns, ranges on a log scale.

import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 96;
const HEIGHT = 24;

/** Return the points of a line through `values` (null: no value then), scaled from 0 to the largest. */
export function linePoints(values, width = WIDTH, height = HEIGHT) {
  const top = Math.max(...values.filter((value) => value !== null), 0);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const y = (value) => (top > 0 ? height - 1.5 - ((height - 3) * value) / top : height - 1.5);
  const lines = [];
  let line = [];
  values.forEach((value, i) => {
    if (value === null) {
      if (line.length) lines.push(line);
      line = [];
    } else line.push(`${(i * step).toFixed(1)},${y(value).toFixed(1)}`);
  });
  if (line.length) lines.push(line);
  return lines;
}

/** Draw the course of a number; decorative, the number itself is text beside it. */
export function sparkline(values) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const line of linePoints(values)) {
    if (line.length < 2) continue; // one reading is no course yet
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", `M${line.join("L")}`);
    svg.append(path);
  }
  return svg;
}

/** Draw `points` ([step, value], sorted) over the steps to `lastStep`, with the ends of both scales. */
export function curve(points, lastStep) {
  const [width, height] = [640, 180];
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (step) => (width * step) / Math.max(lastStep, 1);
  const y = (value) => (high > low ? height - 4 - ((height - 8) * (value - low)) / (high - low) : height / 2);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "curve");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `from ${values[0].toPrecision(4)} to ${values.at(-1).toPrecision(4)}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join("L")}`);
  svg.append(path);
  const end = (name, text) => el("span", { class: `num muted ${name}` }, text);
  return el("div", { class: "plot" }, el("div", { class: "scale-y" }, end("", high.toPrecision(3)), end("", low.toPrecision(3))), svg, el("div", { class: "scale-x" }, end("", "0"), end("", String(lastStep))));
}

/** Draw what parts a whole has: a bar, and a legend with counts. `parts`: [{name, kind, value}]. */
export function shares(parts) {
  const sum = parts.reduce((all, { value }) => all + value, 0);
  const bar = el("div", { class: "share-bar", "aria-hidden": "true" });
  for (const { kind, value } of parts) {
    if (!value) continue;
    const piece = el("i", { class: `fill-${kind}` });
    piece.style.flexGrow = value;
    bar.append(piece);
  }
  const percent = (value) => (sum ? `${Math.round((100 * value) / sum)} %` : "");
  const legend = parts.filter(({ value }) => value).map(({ name, kind, value }) => el("li", {}, el("i", { class: `dot fill-${kind}`, "aria-hidden": "true" }), name, el("span", { class: "num" }, String(value)), el("span", { class: "num muted" }, percent(value))));
  return el("div", { class: "shares" }, bar, el("ul", { class: "legend" }, legend));
}

/** Draw counts as columns over their names. `columns`: [{name, value}]. */
export function columns(rows) {
  const top = Math.max(...rows.map(({ value }) => value), 1);
  return el("ol", { class: "columns" }, rows.map(({ name, value }) => {
    const bar = el("i", { "aria-hidden": "true" });
    bar.style.height = `${value ? Math.max(3, (100 * value) / top) : 0}%`;
    return el("li", {}, el("span", { class: "column" }, bar), el("span", { class: "num" }, String(value)), el("span", { class: "muted num" }, name));
  }));
}

const LEAST_MS = 0.1;

/** Return a place on the log scale from 0.1 ms to `mostMs`, 0 to 1. */
export function logPlace(ms, mostMs) {
  const decades = Math.log10(mostMs / LEAST_MS);
  return Math.min(1, Math.max(0, Math.log10(Math.max(ms, LEAST_MS) / LEAST_MS) / decades));
}

/** Return the decade at which a scale that holds `ms` ends, at least 10 ms. */
export const decadeAbove = (ms) => 10 ** Math.max(1, Math.ceil(Math.log10(Math.max(ms, LEAST_MS))));

/** Draw p50 to p99 as a bar with a mark at p95, on a log scale that ends at `mostMs`. */
export function range({ p50, p95, p99 }, mostMs) {
  const place = (ms) => 100 * logPlace(ms, mostMs);
  const bar = el("i", { class: "range" });
  bar.style.left = `${place(p50)}%`;
  bar.style.width = `${Math.max(0, place(p99) - place(p50))}%`;
  const mark = el("i", { class: "range-mark" });
  mark.style.left = `${place(p95)}%`;
  const track = el("span", { class: "range-track", "aria-hidden": "true" }, bar, mark);
  track.style.setProperty("--decades", Math.round(Math.log10(mostMs / LEAST_MS)));
  return track;
}
