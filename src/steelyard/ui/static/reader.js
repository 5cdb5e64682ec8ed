// The source panel: a document's text with the cited words lit up. Docked beside the answer on a
// wide screen, over the whole screen on a phone.

import { getDocument, advice } from "./api.js";
import { button, copyText, el, fill } from "./dom.js";
import { formatCount, pathOf, readableUri, safeCut, utf16Offsets, utf16Spans } from "./text.js";

const AROUND = 5000; // characters shown on each side of the lit span at first
const STEP = 20_000; // characters that "show more" adds
const DOCKED = matchMedia("(min-width: 1080px)");

const panel = document.getElementById("reader");
let opener = null;
let stops = [];
let position = 0;
let opened = 0; // counts openings, so that a late answer for an earlier one is dropped
let cached = null; // {key, document}: stepping through one document's citations fetches it once

/**
 * Open the panel at one of `places`: `{documentId, collection, title, uri, heading, page, start,
 * end, quote, exact, also}`; start and end are code points, null to read from the top. `quote` is what
 * the answer saw there; `exact` false means that no quote was verified, only the passage is known;
 * `also` lists the other spans that the answer quotes from this document, lit more softly.
 */
export function openReader(places, at = 0) {
  if (!panel.open) opener = document.activeElement;
  stops = places;
  position = at;
  if (!panel.open) {
    if (DOCKED.matches) panel.show();
    else panel.showModal();
    document.body.classList.add("reading");
  }
  show();
}

export function closeReader() {
  if (panel.open) panel.close();
}

export const readerIsOpen = () => panel.open;

panel.addEventListener("close", () => {
  opened += 1;
  cached = null;
  document.body.classList.remove("reading");
  const adrift = document.activeElement === document.body || panel.contains(document.activeElement);
  if (adrift && opener?.isConnected) opener.focus({ preventScroll: true }); // never take focus from where one went since
});

panel.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    closeReader();
  }
});

DOCKED.addEventListener("change", () => {
  if (!panel.open) return;
  const keep = opener;
  opener = null;
  panel.close();
  opener = keep;
  openReader(stops, position);
});

function step(by) {
  position = (position + by + stops.length) % stops.length;
  show();
}

async function show() {
  const place = stops[position];
  const turn = ++opened;
  const body = el("div", { class: "reader-body", tabindex: "0", role: "region", "aria-label": "Document text" }, el("p", { class: "muted" }, "Fetching the document …"));
  fill(panel, header(place), body);
  panel.querySelector(".close").focus({ preventScroll: true });
  try {
    const document = await load(place);
    if (turn === opened) drawText(body, place, document);
  } catch (error) {
    if (turn === opened) drawFailure(body, place, error);
  }
}

async function load(place) {
  const key = JSON.stringify([place.collection, place.documentId]);
  if (cached?.key !== key) cached = { key, document: await getDocument(place.documentId, place.collection) };
  return cached.document;
}

function header(place) {
  const steps = stops.length < 2 ? null : el(
    "div",
    { class: "steps" },
    button({ name: "Previous quote", symbol: "previous" }, () => step(-1)),
    el("span", { class: "num" }, `${position + 1} / ${stops.length}`),
    button({ name: "Next quote", symbol: "next" }, () => step(1)),
  );
  return el(
    "header",
    {},
    el("div", { class: "row" },
      steps,
      el("span", { class: "grow" }),
      button({ name: "Copy link", symbol: "link", label: "Copy link" }, () => copyText(linkTo(place), "Link copied")),
      button({ name: "Close the source", symbol: "close", class: "quiet icon-only close" }, closeReader)),
    el("h2", { id: "reader-title" }, place.n ? el("span", { class: "cite still" }, String(place.n)) : null, place.title || place.documentId),
    pathOf(place.heading, place.title) ? el("p", { class: "path" }, pathOf(place.heading, place.title)) : null,
    el("p", { class: "uri muted" }, address(place.uri), place.page ? `, page ${place.page}` : null),
  );
}

/** Link only what a browser can open; a file's path is text. */
function address(uri) {
  return /^https?:\/\//i.test(uri ?? "") ? el("a", { href: uri, target: "_blank", rel: "noopener noreferrer" }, uri) : readableUri(uri);
}

/** Return an address that opens this page at this place. */
export function linkTo({ documentId, collection, start, end }) {
  const query = new URLSearchParams({ doc: documentId });
  if (collection) query.set("collection", collection);
  if (start !== null && end !== null) query.set("span", `${start}-${end}`);
  return `${location.origin}${location.pathname}#/library?${query}`;
}

/**
 * Find where to light the text, in UTF-16: at the cited offsets while the words there are still
 * the quoted ones, else where the quote is now; null if it is gone.
 */
export function locate(text, { start, end, quote }) {
  if (start === null || start === undefined) return { start: 0, end: 0, moved: false };
  const [from, to] = utf16Offsets(text, [start, end]);
  if (quote === null || quote === undefined || text.slice(from, to) === quote) return { start: from, end: to, moved: false };
  const hits = [];
  for (let at = text.indexOf(quote); at >= 0 && quote && hits.length < 1000; at = text.indexOf(quote, at + 1)) hits.push(at);
  if (!hits.length) return null;
  const nearest = hits.reduce((best, at) => (Math.abs(at - from) < Math.abs(best - from) ? at : best));
  return { start: nearest, end: nearest + quote.length, moved: true };
}

function drawText(body, place, document) {
  const text = document.text ?? "";
  const heading = panel.querySelector("h2");
  if (!place.title && document.title) heading.lastChild.textContent = document.title;
  if (!place.uri) fill(panel.querySelector(".uri"), address(document.uri));
  const found = locate(text, place);
  if (!text) {
    fill(body, el("p", { class: "notice" }, document.error ? `No text: ${document.error}` : `No text yet: this document is ${document.state}.`));
    return;
  }
  if (found === null) {
    fill(body, el("div", { class: "notice warn" }, el("p", {}, "The document has changed since this answer, and these words are no longer in it:"), el("blockquote", {}, place.quote)), pages(text, 0, 0, []));
    return;
  }
  const lit = found.end > found.start;
  const note = found.moved ? "The document has changed since this answer. These are the quoted words where they stand now."
    : lit && place.exact === false ? "No exact quote was verified for this marker. This is the passage that the answer read." : null;
  const also = found.moved ? [] : utf16Spans(text, place.also ?? []);
  const lights = lit ? [...also.filter((span) => span.end <= found.start || span.start >= found.end), { ...found, main: true, soft: place.exact === false }] : [];
  fill(body, note ? el("p", { class: "notice" }, note) : null, pages(text, found.start, found.end, lights));
  body.querySelector(".lit")?.scrollIntoView({ block: "center" });
}

/** Return nodes for `text[from:to]` with the lights (UTF-16 spans, no overlap) in it. */
function lighted(text, from, to, lights) {
  const nodes = [];
  let at = from;
  for (const light of [...lights].sort((a, b) => a.start - b.start)) {
    const start = Math.max(at, light.start);
    const end = Math.min(to, light.end);
    if (start >= end) continue;
    nodes.push(text.slice(at, start), el("mark", { class: light.main ? (light.soft ? "lit soft" : "lit") : "also" }, text.slice(start, end)));
    at = end;
  }
  nodes.push(text.slice(at, to));
  return nodes;
}

/** Show a window of the text around a span, with buttons that widen it. */
function pages(text, start, end, lights) {
  let from = lineStart(text, Math.max(0, start - AROUND));
  let to = safeCut(text, Math.min(text.length, end + (lights.length ? AROUND : STEP)));
  const shown = el("div", { class: "doc-text" }, lighted(text, from, to, lights));
  const earlier = el("button", { type: "button", class: "more" });
  const later = el("button", { type: "button", class: "more" });
  earlier.addEventListener("click", () => {
    const next = lineStart(text, Math.max(0, from - STEP));
    const body = earlier.closest(".reader-body");
    const below = body.scrollHeight - body.scrollTop;
    shown.prepend(...lighted(text, next, from, lights));
    from = next;
    update();
    body.scrollTop = body.scrollHeight - below;
  });
  later.addEventListener("click", () => {
    const next = safeCut(text, Math.min(text.length, to + STEP));
    shown.append(...lighted(text, to, next, lights));
    to = next;
    update();
  });
  const update = () => {
    earlier.hidden = from === 0;
    later.hidden = to === text.length;
    earlier.textContent = `Show earlier text (${formatCount(from)} characters above)`;
    later.textContent = `Show more text (${formatCount(text.length - to)} characters below)`;
  };
  update();
  return [earlier, shown, later];
}

const lineStart = (text, index) => (index === 0 ? 0 : safeCut(text, Math.max(0, text.lastIndexOf("\n", index) + 1)));

function drawFailure(body, place, error) {
  const gone = error.status === 404;
  const message = gone ? "This document is gone: it was deleted, or this key may no longer see it." : `${error.message} ${advice(error)}`;
  fill(
    body,
    el("p", { class: "notice warn", role: "alert" }, message),
    place.quote ? [el("p", { class: "muted" }, "The answer quoted:"), el("blockquote", {}, place.quote)] : null,
    gone ? null : button({ name: "Retry", symbol: "retry", label: "Retry" }, show),
  );
}
