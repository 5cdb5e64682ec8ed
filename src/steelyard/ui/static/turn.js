// One question and its answer: streaming in, standing finished, stopped, or failed.

import { ApiError, advice, streamAnswer } from "./api.js";
import { citationFor } from "./citations.js";
import { button, copyText, el, fill } from "./dom.js";
import { feedback } from "./feedback.js";
import { renderMarkdown } from "./markdown.js";
import { openReader } from "./reader.js";
import { placeOf, sourceCards } from "./sources.js";
import { formatMs, plural, utf16Spans } from "./text.js";
import { waterfall } from "./waterfall.js";

const OPEN_MARKER = /[[【][\w\s^,;&†–-]{0,24}$/; // half a citation marker: held back until the rest arrives
const SENTENCE = /[.!?…]["”’)\]]*(\s*\[\d[\d,\s]*\])*\s|\n/g;
const REFUSAL = /^\s*the documents don['’]t tell[.!]?\s*$/i; // all that the built-in answerer then says

let made = 0;

export class Turn {
  constructor({ question, collection }, { onChange, onRetry, onEdit }) {
    this.question = question;
    this.collection = collection ?? null;
    this.hooks = { onChange, onRetry, onEdit };
    this.parts = makeParts(question, ++made);
    this.node = this.parts.node;
    this.reset();
  }

  reset() {
    this.parts.body.hidden = false;
    this.text = "";
    this.sources = [];
    this.citations = [];
    this.response = null;
    this.ending = "running"; // running, done, stopped, failed
    this.error = null;
    this.seenMs = null;
    this.spoken = 0;
    this.version = (this.version ?? 0) + 1;
    for (const part of ["body", "spoken", "note", "details", "legend"]) fill(this.parts[part]);
  }

  /** Ask, and show the stream as it comes; returns when it has ended, well or not. */
  async run() {
    this.reset();
    this.abort = new AbortController();
    const started = performance.now();
    const ticking = this.startWaiting(started);
    try {
      const query = { query: this.question, ...(this.collection ? { collection: this.collection } : {}) };
      for await (const { event, data } of streamAnswer(query, this.abort.signal)) this.take(event, data, started);
      this.ending = "done";
    } catch (error) {
      this.ending = error.name === "AbortError" ? "stopped" : "failed";
      if (!(error instanceof ApiError) && this.ending === "failed") reportError(error);
      this.error = error instanceof ApiError ? error : new ApiError("page", `This page failed: ${error.message}`);
    } finally {
      clearInterval(ticking);
      this.finish(started);
    }
  }

  stop() {
    this.abort?.abort();
  }

  take(event, data, started) {
    if (event === "sources") this.sources = data.sources ?? [];
    if (event === "done") this.response = data;
    if (event !== "token" || !data.text) return;
    this.text += data.text;
    if (this.seenMs === null && this.text.trim()) {
      requestAnimationFrame(() => {
        this.seenMs ??= performance.now() - started;
      });
    }
    this.drawSoon();
  }

  startWaiting(started) {
    this.node.setAttribute("aria-busy", "true");
    this.node.dataset.ending = "running";
    const label = el("span", {}, "Weighing the sources");
    fill(this.parts.wait, el("i", { class: "scale", "aria-hidden": "true" }), label);
    this.parts.wait.hidden = false;
    return setInterval(() => {
      const seconds = Math.floor((performance.now() - started) / 1000);
      const doing = this.text ? "Writing" : this.sources.length ? `Reading ${plural(this.sources.length, "passage")}` : "Weighing the sources";
      label.textContent = seconds >= 3 ? `${doing}, ${seconds} s` : doing;
    }, 250);
  }

  drawSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      if (this.ending === "running") this.draw(this.text.replace(OPEN_MARKER, ""));
    });
  }

  draw(text, spans = []) {
    const body = this.parts.body;
    const focused = [...body.querySelectorAll(".cite")].indexOf(document.activeElement);
    renderMarkdown(body, text, { spans, version: this.version, cite: (n, at) => this.marker(n, at) });
    if (focused >= 0 && !body.contains(document.activeElement)) body.querySelectorAll(".cite")[focused]?.focus({ preventScroll: true });
    this.speak(text);
  }

  /** Have finished sentences read aloud once each; half ones would stutter. */
  speak(text, { all = false } = {}) {
    const fresh = text.slice(this.spoken);
    const ends = [...fresh.matchAll(SENTENCE)];
    const upTo = all ? fresh.length : ends.length ? ends.at(-1).index + ends.at(-1)[0].length : 0;
    if (upTo === 0) return;
    this.parts.spoken.append(el("span", {}, fresh.slice(0, upTo)));
    this.spoken += upTo;
  }

  marker(n, at) {
    const source = this.sources.find((one) => one.n === n);
    if (!source) return null;
    return el("button", { type: "button", class: "cite", "aria-label": `Source ${n}: ${source.title || source.uri}`, title: source.title || source.uri, on: { click: () => this.open(n, at) } }, String(n));
  }

  /** Open the source of a marker, or of a card (at null: its first quote). */
  open(n, at = null) {
    const chosen = at === null ? this.citations.find((one) => one.n === n) : citationFor(this.citations, n, this.text, at);
    const places = this.citations.map((citation) => ({
      ...placeOf(this.sources, citation, this.collection),
      also: this.citations.filter((other) => other !== citation && other.document_id === citation.document_id),
    }));
    const index = chosen ? this.citations.indexOf(chosen) : -1;
    if (index >= 0) openReader(places, index);
    else openReader([placeOf(this.sources, { n }, this.collection)]);
  }

  /** Draw how it ended; `started` is null for a turn of an earlier visit. */
  finish(started = null) {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.node.removeAttribute("aria-busy");
    this.node.dataset.ending = this.ending;
    this.parts.wait.hidden = true;
    if (this.response) this.adopt(this.response);
    const spans = this.response ? utf16Spans(this.text, this.response.unsupported ?? []) : [];
    this.version += 1;
    this.draw(this.text, spans);
    if (started !== null && this.text.trim()) this.seenMs ??= performance.now() - started; // it all came at once
    this.speak(this.text, { all: true });
    this.drawEnding(spans);
    this.hooks.onChange();
  }

  /** The last event is the truth: it replaces what streamed. */
  adopt(response) {
    this.text = response.answer ?? this.text;
    this.sources = response.sources ?? this.sources;
    this.citations = response.citations ?? [];
  }

  drawEnding(spans) {
    const { note, details, legend } = this.parts;
    const unanswerable = this.response?.answerable === false;
    this.parts.body.hidden = unanswerable && REFUSAL.test(this.text); // the verdict says it
    this.node.dataset.answerable = this.response ? String(!unanswerable) : "";
    fill(legend, spans.length ? [el("span", { class: "unsupported", "aria-hidden": "true" }, "abc"), ` ${plural(spans.length, "sentence")} without support in the sources.`] : null);
    fill(note, this.notes(unanswerable));
    fill(
      details,
      this.sources.length ? sourceCards(this.sources, this.citations, (n) => this.open(n)) : null,
      this.response ? this.footer() : null,
    );
  }

  notes(unanswerable) {
    const retry = button({ name: "Retry", symbol: "retry", label: "Retry" }, this.hooks.onRetry);
    const edit = button({ name: "Edit the question", label: "Edit the question" }, this.hooks.onEdit);
    if (this.ending === "failed") {
      return el("div", { class: "notice bad", role: "alert" }, el("p", {}, el("strong", {}, this.error.message), " ", advice(this.error)), el("div", { class: "row" }, retry, edit));
    }
    if (this.ending === "stopped") return el("div", { class: "notice" }, el("p", {}, "Stopped. This is not the whole answer."), el("div", { class: "row" }, retry, edit));
    const degraded = this.response?.degraded ?? [];
    return [
      unanswerable ? el("div", { class: "verdict" }, el("strong", {}, "The documents don't tell."), " Nothing in them answers this question well enough to quote.") : null,
      degraded.length ? el("p", { class: "notice warn" }, `Answered with reduced means: ${degraded.map((one) => String(one).replaceAll("_", " ")).join(", ")}.`) : null,
    ];
  }

  footer() {
    const { usage = {}, id, cache, bundle, snapshot } = this.response;
    const timings = usage.timings_ms ?? {};
    const tokens = usage.prompt_tokens || usage.completion_tokens ? `${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written` : null;
    const facts = [usage.model, tokens, cache ? `cache: ${cache}` : null, bundle ? `bundle ${bundle}` : null, snapshot === undefined ? null : `snapshot ${snapshot}`].filter(Boolean);
    return el(
      "div",
      { class: "footer" },
      el("div", { class: "row" },
        id ? feedback(id, this.text) : null,
        button({ name: "Copy the answer", symbol: "copy" }, () => copyText(this.asText(), "Answer copied"))),
      el("details", { class: "how" },
        el("summary", {}, "total" in timings ? `Answered in ${formatMs(timings.total)}` : "How this was answered"),
        waterfall(timings, this.seenMs),
        el("p", { class: "muted small" }, facts.join(" · "))),
    );
  }

  asText() {
    const used = this.sources.filter((source) => this.citations.some((citation) => citation.n === source.n));
    return [this.text, "", ...used.map((source) => `[${source.n}] ${source.title || source.uri} (${source.uri})`)].join("\n").trim();
  }

  toJSON() {
    if (this.ending === "running") return null;
    const { question, collection, response, ending, seenMs, text, sources } = this;
    const error = this.error && ending === "failed" ? { code: this.error.code, message: this.error.message, status: this.error.status } : null;
    return { question, collection, response, ending, seenMs, error, ...(response ? {} : { text, sources }) };
  }

  /** Show a turn that an earlier visit saved. */
  restore({ response, ending, seenMs, error, text, sources }) {
    Object.assign(this, { response: response ?? null, ending, seenMs: seenMs ?? null, text: text ?? "", sources: sources ?? [] });
    this.error = error ? new ApiError(error.code, error.message, { status: error.status }) : null;
    this.spoken = Number.MAX_SAFE_INTEGER;
    this.finish();
  }
}

function makeParts(question, number) {
  const parts = {
    body: el("div", { class: "answer" }),
    wait: el("p", { class: "wait", hidden: true }),
    spoken: el("div", { class: "offscreen", "aria-live": "polite", "aria-relevant": "additions" }),
    note: el("div", { class: "notes" }),
    legend: el("p", { class: "legend muted small" }),
    details: el("div", { class: "evidence" }),
  };
  const { note, body, wait, spoken, legend, details } = parts;
  const heading = el("h2", { class: "question", id: `question-${number}` }, question);
  parts.node = el("article", { class: "turn", "aria-labelledby": heading.id }, heading, body, wait, spoken, note, legend, details);
  return parts;
}
