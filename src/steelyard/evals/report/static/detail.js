// One question: what was asked, what is right, and what each arm did with it, side by side.

const KINDS = { u: "unsupported", c: "cite" };

async function drawDetail(node, index, place, list) {
  const question = await readQuestion(index, place);
  const shelves = question.arms.flatMap((arm) => (arm ? [...(arm.sources ?? []).map(({ at }) => at), ...arm.ranked.map(([at]) => at)] : []));
  const passages = await readPassages(index, shelves);
  if (list.rows[list.chosen] !== place) return; // another one was chosen meanwhile
  const titles = new Map([...passages.values()].map((row) => [row.document, row.title || row.document]));
  const slowest = Math.max(1, ...question.arms.map((arm) => arm?.wall ?? 0));
  const cards = question.arms.map((arm, n) => armCard({ index, question, arm, n, place, passages, slowest, list }));
  node.replaceChildren(asked(question), gold(question, titles), el("div", { class: "cards" }, cards));
  node.scrollTop = 0;
}

function asked(question) {
  const facts = [question.id, question.type, question.origin === "gold" ? "" : question.origin, question.answerable === false ? "not answerable from the documents" : "", question.cluster && question.cluster !== question.id ? `cluster ${question.cluster}` : ""];
  return el("div", { class: "asked-whole" },
    question.history.map(([role, text]) => el("p", { class: "turn soft" }, el("b", {}, `${role}: `), text)),
    el("h3", {}, question.text),
    el("p", { class: "soft small" }, facts.filter(Boolean).join(" · "), " · ", el("a", { href: `#q=${encodeURIComponent(question.id)}` }, "link")));
}

function gold(question, titles) {
  const name = (id) => titles.get(id) ?? id;
  const right = Object.entries(question.relevant).filter(([, grade]) => grade > 0);
  const served = question.origin === "served"; // what was given, right or wrong
  const told = new Set(question.gold.map(([id]) => id));
  const others = right.filter(([id]) => !told.has(id));
  if (!question.answers.length && !question.gold.length && !right.length) return el("p", { class: "soft small" }, "Nothing is known to be right.");
  return el("div", { class: "gold" },
    question.answers.length ? el("p", {}, el("b", {}, served ? "Served: " : "Gold: "), question.answers.slice(0, 8).join(" / ")) : null,
    question.gold.slice(0, 6).map(([id, words]) => el("blockquote", {}, words, el("cite", { title: id }, name(id)))),
    others.length ? el("p", { class: "small" }, el("b", {}, served ? "Cited then: " : "Relevant: "), others.slice(0, 20).map(([id, grade]) => `${name(id)}${grade > 1 ? ` (${grade})` : ""}`).join(", "), others.length > 20 ? ` and ${others.length - 20} more` : "") : null);
}

function armCard({ index, question, arm, n, place, passages, slowest, list }) {
  const name = index.arms[n].name;
  const head = el("h4", {}, el("i", { class: `key c${n % COLOURS}` }, String(n + 1)), name, n === list.base ? el("span", { class: "tag" }, "baseline") : null);
  if (!arm) return el("section", { class: "card" }, head, el("p", { class: "soft" }, "Nothing is kept of this arm."));
  return el("section", { class: "card" }, head, values(index, n, place, list),
    arm.error ? el("p", { class: "fault" }, `Failed: ${arm.error}`) : null,
    arm.degraded.length ? el("p", { class: "fault small" }, `Left out: ${arm.degraded.join(", ")}`) : null,
    arm.answer ? answerOf(arm) : null,
    arm.sources ? sourcesOf(question, arm, passages) : null,
    rankingOf(question, arm, passages),
    timingsOf(arm, slowest));
}

function values(index, n, place, list) {
  const base = list.base;
  const figures = index.arms[n].figures;
  return el("dl", { class: "values" }, index.measures.map((measure, m) => {
    const value = index.values[n][m]?.[place] ?? null;
    if (!figures[measure.name]?.n) return null; // nothing that this kind of arm has
    const start = n === base || base < 0 ? null : (index.values[base][m]?.[place] ?? null);
    const delta = value === null || start === null ? 0 : value - start;
    const kind = delta === 0 ? "even" : delta > 0 === measure.lower ? "loss" : "gain";
    return el("div", { class: m === list.measure ? "main" : "" }, el("dt", {}, measure.name), el("dd", {}, shown(measure, value), delta ? el("span", { class: `delta ${kind}` }, ` ${shownDelta(measure, delta)}`) : null));
  }));
}

function answerOf(arm) {
  const text = el("p", { class: "answer" }, arm.answer.map((piece) => {
    if (typeof piece === "string") return piece;
    const [kinds, words, source] = piece;
    const className = [...kinds].map((kind) => KINDS[kind]).join(" ");
    if (!kinds.includes("c")) return el("span", { class: className, title: "No source supports this" }, words);
    return el("button", { type: "button", class: className, title: `Source ${source}`, on: { click: (event) => showSource(event, source) } }, words);
  }));
  const loose = arm.answer.filter((piece) => typeof piece !== "string" && piece[0] === "u").length;
  return [text, loose ? el("p", { class: "fault small" }, `⚠ ${loose === 1 ? "One part" : `${loose} parts`} without support, underlined`) : null];
}

function showSource(event, n) {
  const source = event.target.closest(".card").querySelector(`[data-n="${n}"]`);
  if (!source) return;
  source.open = true;
  source.scrollIntoView({ block: "nearest" });
  source.querySelector("summary").focus();
}

function sourcesOf(question, arm, passages) {
  return [el("h5", {}, `Sources, ${arm.sources.length}`), arm.sources.map((source) => {
    const passage = passages.get(source.at);
    const where = [...passage.heading, passage.page ? `page ${passage.page}` : ""].filter(Boolean).join(" › ");
    const right = source.gold.length > 0 || question.relevant[passage.document] > 0;
    return el("details", { class: "source", "data-n": source.n },
      el("summary", {}, el("b", {}, `${source.n} `), passage.title || passage.document, right ? el("span", { class: "tag gold-tag" }, source.gold.length ? "gold" : question.origin === "served" ? "cited then" : "gold document") : null, source.quotes.length ? el("span", { class: "tag" }, "cited") : null),
      el("p", { class: "soft small" }, [passage.document, where].filter(Boolean).join(" · ")),
      el("p", { class: "passage" }, lit(passage.text, source.gold, source.quotes)));
  })];
}

/** Cut a passage where gold and quotes begin and end. */
function lit(text, golds, quotes) {
  const cuts = [...new Set([0, text.length, ...golds.flat(), ...quotes.flat()])].sort((a, b) => a - b);
  const inside = (places, from, to) => places.some(([start, end]) => start <= from && to <= end);
  return cuts.slice(1).map((to, i) => {
    const words = text.slice(cuts[i], to);
    const kinds = [inside(golds, cuts[i], to) && "gold-words", inside(quotes, cuts[i], to) && "quoted"].filter(Boolean).join(" ");
    return kinds ? el("mark", { class: kinds }, words) : words;
  });
}

function rankingOf(question, arm, passages) {
  if (!arm.ranked.length) return arm.error ? null : el("p", { class: "soft small" }, "Nothing was found.");
  const rows = arm.ranked.map(([at, rank]) => {
    const row = passages.get(at);
    const grade = question.relevant[row.document];
    return el("li", { value: rank, class: grade > 0 ? "right" : "" }, el("span", {}, row.title || row.document), grade > 0 ? el("span", { class: "tag gold-tag" }, question.origin === "served" ? "cited then" : grade > 1 ? `gold, ${grade}` : "gold") : null,
      el("p", { class: "soft small" }, [row.title ? row.document : "", row.text && !arm.sources ? row.text : ""].filter(Boolean).join(" · ")));
  });
  const list = el("ol", { class: "ranking" }, rows);
  return arm.sources ? el("details", {}, el("summary", {}, "Ranking of documents"), list) : [el("h5", {}, "Ranking of documents"), list];
}

const SPANS = new Set(["search", "first_token", "total"]); // over other stages

function timingsOf(arm, slowest) {
  const rows = Object.entries(arm.timings).filter(([stage, ms]) => ms !== null && stage !== "total");
  const bar = (ms, kind) => {
    const length = el("i", { class: kind });
    length.style.width = `${Math.min(100, (100 * ms) / slowest)}%`;
    return el("span", { class: "time" }, length);
  };
  const facts = [arm.cost === null ? "" : `$${arm.cost}`, arm.tokens ? `${arm.tokens[0]} + ${arm.tokens[1]} tokens` : "", arm.model ?? "", arm.cache && arm.cache !== "off" ? `cache: ${arm.cache}` : ""];
  return el("div", { class: "timings" }, el("h5", {}, "Time"),
    el("dl", {}, [...rows, ["asker waited", arm.wall]].map(([stage, ms]) => [el("dt", {}, stage.replaceAll("_", " ")), el("dd", {}, bar(ms ?? 0, stage === "asker waited" ? "all" : SPANS.has(stage) ? "span" : ""), el("span", { class: "num" }, ms === null ? "–" : ms.toLocaleString("en", { maximumFractionDigits: ms < 10 ? 2 : 1 })))])),
    el("p", { class: "soft small" }, `ms. ${facts.filter(Boolean).join(" · ")}`));
}
