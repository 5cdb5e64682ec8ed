// Quality against time against cost: one numbered bubble an arm, its intervals as thin lines.

const MARGIN = { left: 64, right: 24, top: 16, bottom: 44 };
const COLOURS = 8;

function mountScatter(index) {
  const section = document.getElementById("trade");
  if (!section || !index.arms.length) return;
  const names = index.measures.map(({ name }, n) => [n, name]);
  const first = (test, otherwise) => Math.max(0, index.measures.findIndex(test)) || otherwise;
  const quality = Math.max(0, index.measures.findIndex((m) => m.quality));
  const time = first((m) => m.unit === "ms", quality === 0 ? 1 : 0);
  const cost = index.measures.findIndex((m) => m.unit === "usd");
  const x = choice("Across", names, draw);
  const y = choice("Upwards", names, draw);
  const size = choice("Size", [["", "all alike"], ...names], draw);
  x.select.value = time;
  y.select.value = quality;
  size.select.value = cost < 0 ? "" : cost;
  document.getElementById("axes").append(x.node, y.node, size.node);
  section.hidden = false;
  const place = document.getElementById("scatter");
  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - width) > 1) draw();
  }).observe(place);

  function draw() {
    width = place.clientWidth;
    const [mx, my] = [index.measures[x.select.value], index.measures[y.select.value]];
    const sized = size.select.value === "" ? null : index.measures[size.select.value];
    const rows = index.arms.map((arm, n) => ({ n, name: arm.name, x: arm.figures[mx.name], y: arm.figures[my.name], size: sized ? arm.figures[sized.name]?.value : null }));
    const known = rows.filter((row) => isNumber(row.x) && isNumber(row.y));
    place.replaceChildren(...(known.length ? [picture(known, mx, my, width)] : [el("p", { class: "soft" }, "No arm has both figures.")]), legend(rows, mx, my, sized));
  }
}

const isNumber = (figure) => figure && figure.value !== null;

function picture(rows, mx, my, width) {
  const height = Math.max(260, Math.min(420, width * 0.5));
  const across = scaleOf(rows.flatMap(({ x }) => [x.value, x.low ?? x.value, x.high ?? x.value]), MARGIN.left, width - MARGIN.right, width < 500 ? 3 : 5);
  const upwards = scaleOf(rows.flatMap(({ y }) => [y.value, y.low ?? y.value, y.high ?? y.value]), height - MARGIN.bottom, MARGIN.top, 4);
  const most = Math.max(...rows.map((row) => row.size ?? 0));
  const radius = (row) => (row.size === null || row.size === undefined || most <= 0 ? 11 : 9 + 15 * Math.sqrt(Math.max(0, row.size) / most));
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${my.name} against ${mx.name}` });
  for (const tick of across.ticks) {
    const at = across.place(tick);
    drawing.append(svg("line", { class: "grid", x1: at, x2: at, y1: MARGIN.top, y2: height - MARGIN.bottom }), svg("text", { x: at, y: height - MARGIN.bottom + 17, class: "middle" }, tickText(mx, tick)));
  }
  for (const tick of upwards.ticks) {
    const at = upwards.place(tick);
    drawing.append(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }), svg("text", { x: MARGIN.left - 7, y: at + 4, class: "end" }, tickText(my, tick)));
  }
  const worse = (m) => (m.lower ? "less is better" : "more is better");
  drawing.append(svg("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 8, class: "middle axis" }, `${mx.name}, ${worse(mx)}`));
  drawing.append(svg("text", { x: -(height - MARGIN.bottom + MARGIN.top) / 2, y: 13, transform: "rotate(-90)", class: "middle axis" }, `${my.name}, ${worse(my)}`));
  for (const row of [...rows].sort((a, b) => radius(b) - radius(a))) {
    const [cx, cy] = [across.place(row.x.value), upwards.place(row.y.value)];
    const colour = `c${row.n % COLOURS}`;
    if (row.x.low !== null) drawing.append(svg("line", { class: `spread ${colour}`, x1: across.place(row.x.low), x2: across.place(row.x.high), y1: cy, y2: cy }));
    if (row.y.low !== null) drawing.append(svg("line", { class: `spread ${colour}`, x1: cx, x2: cx, y1: upwards.place(row.y.low), y2: upwards.place(row.y.high) }));
    drawing.append(svg("circle", { class: `bubble ${colour}`, cx, cy, r: radius(row) }, svg("title", {}, row.name)));
    drawing.append(svg("text", { class: "middle number", x: cx, y: cy + 4 }, String(row.n + 1)));
  }
  return drawing;
}

function legend(rows, mx, my, sized) {
  const head = ["", "arm", my.name, mx.name, ...(sized && sized !== mx && sized !== my ? [sized.name] : [])];
  const cells = (row) => [shown(my, row.y?.value ?? null), shown(mx, row.x?.value ?? null), ...(head.length > 4 ? [shown(sized, row.size)] : [])];
  return el("div", { class: "wide" }, el("table", { class: "legend" },
    el("thead", {}, el("tr", {}, head.map((name, n) => el("th", { scope: "col", class: n < 2 ? "left" : "" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, el("td", { class: "left" }, el("i", { class: `key c${row.n % COLOURS}` }, String(row.n + 1))), el("td", { class: "left" }, row.name), cells(row).map((text) => el("td", {}, text)))))));
}

/** A scale with round ticks, padded so that no bubble is cut. */
function scaleOf(values, from, to, gaps) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  low = low >= 0 ? Math.max(0, low - pad) : low - pad;
  high += pad;
  const least = (high - low) / gaps;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= least * 0.999);
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high * (1 + 1e-12); n += 1) ticks.push(Number((n * step).toPrecision(12)));
  return { ticks, place: (value) => from + ((to - from) * (value - low)) / (high - low || 1) };
}

function tickText(measure, value) {
  const text = Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 8 }).replace("-", "−");
  return measure.unit === "usd" ? `$${text}`.replace("$−", "−$") : measure.unit === "ms" ? `${text} ms` : text;
}
