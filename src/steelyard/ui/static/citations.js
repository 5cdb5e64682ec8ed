// Which verified quote a marker [n] in the answer stands for, and what a source's card shows.

import { safeCut, utf16Spans } from "./text.js";

const MARKER = String.raw`[\[【][^\[\]【】\n]{0,20}\d[^\[\]【】\n]{0,60}[\]】]`;
const CLOSING_MARKERS = new RegExp(String.raw`(?:\s*${MARKER})+\s*$`);
const SENTENCE_START = new RegExp(String.raw`[.!?…]["”’)\]]*\s+|\n|${MARKER}\s*`, "g");
const WORD = /[\p{L}\p{N}]+/gu;

const words = (text) => new Set(text.toLowerCase().match(WORD) ?? []);

/**
 * Choose the citation for a marker [n] at UTF-16 index `at` of `answer`; null: none with this n.
 * One source may be quoted more than once, so the quote that shares most words with the marker's
 * own sentence wins; equal ones go by their order.
 */
export function citationFor(citations, n, answer, at) {
  const candidates = citations.filter((citation) => citation.n === n);
  if (candidates.length < 2) return candidates[0] ?? null;
  const claim = words(sentenceBefore(answer, at));
  const shared = (citation) => {
    const quote = words(citation.quote);
    return [...quote].filter((word) => claim.has(word)).length / Math.max(1, quote.size);
  };
  return candidates.reduce((best, next) => (shared(next) > shared(best) ? next : best));
}

/** Return the sentence that a marker at `at` closes (markers directly before it are skipped). */
export function sentenceBefore(answer, at) {
  const text = answer.slice(0, at).replace(CLOSING_MARKERS, "").replace(/[.!?…\s]+$/, "");
  const starts = [...text.matchAll(SENTENCE_START)];
  const last = starts.at(-1);
  return last ? text.slice(last.index + last[0].length) : text;
}

/**
 * Cut a source's passage to a snippet around its quotes: `[{text, quoted}]`.
 * Offsets of citations are code points of the document, so they are moved into the passage first.
 */
export function snippet(source, citations, { before = 90, after = 220 } = {}) {
  const quotes = utf16Spans(
    source.text,
    citations
      .map(({ start, end }) => ({ start: start - source.start, end: end - source.start }))
      .filter(({ start, end }) => start >= 0 && end > start),
  );
  const first = quotes[0]?.start ?? 0;
  const line = source.text.lastIndexOf("\n", Math.max(0, first - 1)) + 1; // a heading above says little here
  const from = quotes.length && first - line <= before ? Math.min(line, first) : first > before ? safeCut(source.text, first - before) : 0;
  const reach = Math.max(quotes[0]?.end ?? 0, first + 60) + after;
  const to = reach + 40 < source.text.length ? safeCut(source.text, reach) : source.text.length;
  const parts = [];
  if (from > 0) parts.push({ text: "… ", quoted: false });
  let at = from;
  for (const quote of quotes) {
    const start = Math.max(at, quote.start);
    const end = Math.min(to, quote.end);
    if (start >= end) continue;
    if (start > at) parts.push({ text: source.text.slice(at, start), quoted: false });
    parts.push({ text: source.text.slice(start, end), quoted: true });
    at = end;
  }
  if (at < to) parts.push({ text: source.text.slice(at, to), quoted: false });
  if (to < source.text.length) parts.push({ text: " …", quoted: false });
  return parts;
}
