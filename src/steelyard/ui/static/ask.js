// Ask: one question box, the answers of this session above it.

import { getStatus, listDocuments } from "./api.js";
import { balance, button, el, fill, icon } from "./dom.js";
import { loadTurns, saveTurns } from "./session.js";
import { plural } from "./text.js";
import { Turn } from "./turn.js";

/** Make the view in `root`; returns what the router and the shortcuts call. */
export function mountAsk(root) {
  const turns = el("div", { class: "turns" });
  const welcome = el("section", { class: "welcome" });
  const ledger = el("nav", { class: "ledger", "aria-label": "Questions of this session" });
  const composer = makeComposer({ onAsk: ask, onStop: () => running?.stop() });
  const live = [];
  let running = null;
  root.append(el("div", { class: "ask" }, ledger, el("div", { class: "talk" }, welcome, turns, composer.node)));

  function ask(question, collection = composer.collection()) {
    if (running) return;
    const turn = add(new Turn({ question, collection }, { onChange, onRetry: () => retry(turn), onEdit: () => composer.edit(question) }));
    run(turn);
  }

  function add(turn) {
    live.push(turn);
    turns.append(turn.node);
    refresh();
    return turn;
  }

  async function run(turn) {
    running = turn;
    composer.setBusy(true);
    turn.node.scrollIntoView({ block: "start" });
    await turn.run();
    running = null;
    composer.setBusy(false);
    onChange();
  }

  function retry(turn) {
    if (!running) run(turn);
  }

  function onChange() {
    saveTurns(live.map((turn) => turn.toJSON()).filter((turn) => turn !== null));
  }

  function clear() {
    running?.stop();
    live.length = 0;
    turns.replaceChildren();
    saveTurns([]);
    refresh();
    composer.focus();
  }

  function refresh() {
    welcome.hidden = live.length > 0;
    root.classList.toggle("started", live.length > 0);
    fill(ledger, live.length === 0 ? null : [
      el("h2", {}, "This session"),
      el("ol", {}, live.map((turn) => el("li", {}, el("button", { type: "button", class: "entry", on: { click: () => turn.node.scrollIntoView({ block: "start" }) } }, turn.question)))),
      el("button", { type: "button", class: "quiet small", on: { click: clear } }, "Clear"),
    ]);
  }

  for (const saved of loadTurns()) {
    const turn = add(new Turn(saved, { onChange, onRetry: () => retry(turn), onEdit: () => composer.edit(saved.question) }));
    turn.restore(saved);
  }
  drawWelcome(welcome, null, ask, composer);
  refresh();

  async function greet() {
    try {
      const status = await getStatus({ background: true });
      composer.setCollections(status.collections ?? []);
      if (!live.length && status.num_documents > 0) status.examples ??= await fromTitles();
      drawWelcome(welcome, status, ask, composer);
    } catch {
      // The question itself will say what is wrong; a greeting needn't.
    }
  }

  return {
    show(params) {
      greet();
      if (params.get("q")) composer.edit(params.get("q"));
      else if (matchMedia("(hover: hover)").matches) composer.focus();
    },
    hide() {},
    focus: () => composer.focus(),
    escape() {
      if (!running) return false;
      running.stop();
      return true;
    },
  };
}

const nameOf = (collection) => (typeof collection === "string" ? collection : (collection.name ?? collection.collection ?? ""));

function makeComposer({ onAsk, onStop }) {
  const box = el("textarea", { id: "question", rows: "1", placeholder: "Ask your documents", "aria-label": "Question", "aria-keyshortcuts": "/", enterkeyhint: "send", maxlength: "20000" });
  const picker = el("select", { "aria-label": "Collection" });
  const send = el("button", { type: "submit", class: "primary icon-only", "aria-label": "Ask", title: "Ask (Enter)" }, icon("send"));
  const stop = button({ name: "Stop the answer (Esc)", symbol: "stop", kind: "primary", hidden: true }, onStop);
  const node = el("form", { class: "composer", on: { submit: submit } }, el("div", { class: "box" }, box, picker, send, stop));
  let busy = false;
  let last = "";
  picker.hidden = true;

  function submit(event) {
    event.preventDefault();
    const question = box.value.trim();
    if (!question || busy) return;
    last = question;
    box.value = "";
    grow();
    onAsk(question);
  }

  function grow() {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 220)}px`;
  }

  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    if (event.key === "ArrowUp" && box.value === "" && last) edit(last);
  });

  function edit(text) {
    box.value = text;
    grow();
    box.focus();
    box.setSelectionRange(text.length, text.length);
  }

  return {
    node,
    edit,
    focus: () => box.focus({ preventScroll: true }),
    collection: () => (picker.hidden ? null : picker.value),
    setBusy(value) {
      const focused = node.contains(document.activeElement);
      busy = value;
      send.hidden = value;
      stop.hidden = !value;
      if (focused) box.focus({ preventScroll: true });
    },
    setCollections(collections) {
      const chosen = picker.value;
      const names = collections.map(nameOf).filter(Boolean);
      fill(picker, names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
      picker.hidden = names.length < 2;
    },
  };
}

function drawWelcome(node, status, ask, composer) {
  const empty = status !== null && status.num_documents === 0;
  const picture = node.querySelector(".balance") ?? balance(); // kept, so that it settles only once
  fill(
    node,
    picture,
    el("h1", {}, empty ? "Nothing to weigh yet" : "Ask your documents"),
    el("p", { class: "lead" }, empty
      ? "Add a few documents first: PDF, Word, slides, spreadsheets, web pages, mail, notes or code. They stay on this machine."
      : "Every answer shows the exact words it rests on. Click a number to see them in their document."),
    empty ? el("a", { class: "button primary", href: "#/library" }, icon("upload"), "Add documents") : null,
    status && !empty ? el("p", { class: "muted small" }, `${plural(status.num_documents, "document")}, ${plural(status.num_chunks, "passage")}. ${writer(status.generator)}`) : null,
    empty || status === null ? exampleShapes(empty, composer) : exampleQuestions(status, ask),
  );
}

function writer(generator) {
  const name = typeof generator === "string" ? generator : (generator?.model ?? generator?.name ?? "");
  return !name || /extractive/i.test(name) ? "Answers quote them word for word." : `Answers are written by ${name}.`;
}

/** Where the server proposes no questions, ask about a few documents whose titles read like words. */
async function fromTitles() {
  const { documents } = await listDocuments({ limit: 60, state: "searchable" }, { background: true });
  const titles = [...new Set(documents.map((row) => row.title))].filter((title) => /^\p{L}[^_/\\]*\s[^_/\\]*$/u.test(title) && title.length <= 60);
  const step = Math.max(1, Math.floor(titles.length / 3));
  return titles.filter((_, i) => i % step === 0).slice(0, 3).map((title) => `What does “${title}” say?`);
}

/** Questions that this home can answer. */
function exampleQuestions(status, ask) {
  const questions = (status.examples ?? []).slice(0, 4);
  if (!questions.length) return null;
  return el("ul", { class: "examples", "aria-label": "Example questions" }, questions.map((question) =>
    el("li", {}, el("button", { type: "button", class: "example", on: { click: () => ask(question) } }, question))));
}

/** Before there is anything to ask, show which kinds of question work; a click only fills the box. */
function exampleShapes(empty, composer) {
  if (!empty) return null;
  const shapes = ["How many days of leave do I get in my first year?", "Who approves a purchase above 5,000?", "What changed between version 2 and 3?"];
  return [
    el("p", { class: "muted small" }, "Then ask as you would ask a colleague:"),
    el("ul", { class: "examples", "aria-label": "Example questions" }, shapes.map((question) =>
      el("li", {}, el("button", { type: "button", class: "example", on: { click: () => composer.edit(question) } }, question)))),
  ];
}
