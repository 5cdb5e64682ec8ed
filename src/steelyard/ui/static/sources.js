// The numbered source cards below an answer.

import { snippet } from "./citations.js";
import { el } from "./dom.js";
import { formatScore, pathOf, plural, readableUri } from "./text.js";

/** Say where a citation (or, without start, a whole passage) is, for the reader. */
export function placeOf(sources, citation, collection) {
  const source = sources.find((one) => one.n === citation.n) ?? {};
  const exact = citation.start !== undefined;
  return {
    n: citation.n,
    documentId: citation.document_id ?? source.document_id,
    collection: source.collection ?? collection,
    uri: citation.uri ?? source.uri,
    title: source.title,
    heading: source.heading,
    page: source.page,
    start: exact ? citation.start : (source.start ?? null),
    end: exact ? citation.end : (source.end ?? null),
    quote: exact ? citation.quote : (source.text ?? null),
    exact,
  };
}

/** Make the cards: cited sources open, the ones that were only read folded away. */
export function sourceCards(sources, citations, onOpen) {
  const best = Math.max(...sources.map((source) => source.score), 0);
  const cards = (list) => el("ol", { class: "cards" }, list.map((source) => card(source, citations.filter((one) => one.n === source.n), best, onOpen)));
  const cited = sources.filter((source) => citations.some((one) => one.n === source.n));
  const rest = sources.filter((source) => !cited.includes(source));
  return el(
    "section",
    { class: "sources", "aria-label": "Sources" },
    cited.length ? cards(cited) : null,
    rest.length ? el("details", {}, el("summary", {}, `${plural(rest.length, "passage")} read${cited.length ? " but not quoted" : ""}`), cards(rest)) : null,
  );
}

function card(source, quotes, best, onOpen) {
  const parts = snippet(source, quotes).map(({ text, quoted }) => (quoted ? el("mark", {}, text) : text));
  const where = [pathOf(source.heading, source.title), source.page ? `page ${source.page}` : null].filter(Boolean).join(" · ");
  return el(
    "li",
    { class: "card", "data-n": source.n },
    el("button", { type: "button", class: "card-open", on: { click: () => onOpen(source.n) } },
      el("span", { class: "cite still", "aria-hidden": "true" }, String(source.n)),
      el("span", { class: "offscreen" }, `Source ${source.n}: `),
      el("span", { class: "card-title" }, source.title || source.uri)),
    gauge(source.score, best),
    where ? el("p", { class: "path" }, where) : null,
    el("p", { class: "snippet" }, parts),
    el("p", { class: "uri muted", title: source.uri }, readableUri(source.uri)),
  );
}

/** A small beam: the weight stands at the score's share of the best score of this answer. */
function gauge(score, best) {
  const weight = el("i");
  weight.style.left = `${best > 0 ? Math.max(0, Math.min(100, (100 * score) / best)) : 0}%`;
  return el("span", { class: "gauge", title: "Score, and its share of the best source's" }, el("span", { class: "gauge-beam", "aria-hidden": "true" }, weight), el("span", { class: "num" }, el("span", { class: "offscreen" }, "score "), formatScore(score)));
}
