// The review queue of a question set: one question at a time; a accepts, e edits, r rejects.

import { getQueue, sendDecision } from "./api.js";
import { el, fill, toast } from "./dom.js";
import { formatCount } from "./text.js";

const BATCH = 50;

export async function makeReview(name, fresh) {
  const card = el("div", { class: "review-card" });
  const told = el("p", { class: "muted", role: "status" });
  const undo = el("button", { type: "button", class: "quiet", hidden: true, on: { click: takeBack } }, "Undo (u)");
  let waiting = [];
  let counts = {};
  let last = null;
  let busy = false;
  let editing = false;

  async function read() {
    const page = await getQueue(name, { verdict: "pending", limit: BATCH });
    waiting = page.items;
    counts = page.counts;
  }

  function draw() {
    editing = false;
    const done = (counts.accept ?? 0) + (counts.edit ?? 0) + (counts.reject ?? 0);
    told.textContent = `${formatCount(counts.pending ?? 0)} waiting, ${formatCount(done)} decided: ${formatCount(counts.accept ?? 0)} accepted, ${formatCount(counts.edit ?? 0)} edited, ${formatCount(counts.reject ?? 0)} rejected`;
    undo.hidden = last === null;
    fill(card, waiting.length ? shown(waiting[0]) : el("p", {}, "Nothing waits. ", el("a", { href: "#/lab" }, "All runs and sets")));
  }

  function shown(item) {
    const golden = item.has_gold;
    const action = (key, label, kind, act, disabled = false) => el("button", { type: "button", class: kind, disabled, on: { click: act } }, label, el("kbd", {}, key));
    return [
      el("p", { class: "item-question" }, item.question),
      item.answerable === false ? el("p", {}, "Marked as not answerable from the documents.") : item.answers.length ? el("p", {}, el("b", {}, "Answer: "), item.answers.join(" / ")) : el("p", { class: "error-text" }, "No answer yet: edit it, or reject it."),
      item.quotes.map((quote) => el("blockquote", {}, quote)),
      el("p", { class: "muted small" }, [item.source, item.type, item.origin, item.note, item.id].filter(Boolean).join(" · ")),
      el("div", { class: "row" }, action("a", "Accept", "primary", () => decide("accept"), !golden), action("e", "Edit", "quiet", edit), action("r", "Reject", "quiet", () => decide("reject"))),
    ];
  }

  async function decide(verdict, more = {}) {
    if (busy || !waiting.length) return;
    busy = true;
    const item = waiting[0];
    try {
      await sendDecision(name, { id: item.id, verdict, ...more });
      last = item.id;
      await refresh();
    } catch (error) {
      toast(error.message);
    } finally {
      busy = false;
    }
  }

  async function refresh() {
    await read();
    draw();
  }

  async function takeBack() {
    if (busy || last === null) return;
    busy = true;
    try {
      await sendDecision(name, { id: last, verdict: "pending" });
      const back = last;
      last = null;
      await read();
      waiting.sort((a, b) => Number(b.id === back) - Number(a.id === back));
      draw();
    } catch (error) {
      toast(error.message);
    } finally {
      busy = false;
    }
  }

  function edit() {
    if (!waiting.length) return;
    const item = waiting[0];
    const question = el("textarea", { rows: "2", "aria-label": "Question" });
    const answers = el("textarea", { rows: "3", "aria-label": "Answers, one a line" });
    const none = el("input", { type: "checkbox", id: "unanswerable" });
    question.value = item.question;
    answers.value = item.answers.join("\n");
    none.checked = item.answerable === false;
    const sync = () => {
      answers.disabled = none.checked;
    };
    none.addEventListener("change", sync);
    sync();
    editing = true;
    fill(card, el("form", { class: "edit", on: { submit: save } },
      el("label", {}, "Question", question), el("label", {}, "Answers, one a line", answers),
      el("p", { class: "row" }, none, el("label", { for: "unanswerable" }, "The documents do not tell")),
      item.quotes.map((quote) => el("blockquote", {}, quote)),
      el("div", { class: "row" }, el("button", { type: "submit", class: "primary" }, "Save"), el("button", { type: "button", class: "quiet", on: { click: draw } }, "Cancel"))));
    question.focus();

    function save(event) {
      event.preventDefault();
      const lines = answers.value.split("\n").map((line) => line.trim()).filter(Boolean);
      if (!none.checked && !lines.length) toast("Give an answer, or say that the documents do not tell.");
      else decide("edit", none.checked ? { question: question.value, answerable: false } : { question: question.value, answers: lines });
    }
  }

  await read();
  fresh([el("a", { class: "small", href: "#/lab" }, "‹ All runs and sets"), el("div", { class: "row" }, el("h1", {}, name), el("span", { class: "grow" }), undo), told, card]);
  draw();
  return {
    key(key) {
      if (editing) return false;
      if (key === "a" && waiting[0]?.has_gold) decide("accept");
      else if (key === "e") edit();
      else if (key === "r") decide("reject");
      else if (key === "u") takeBack();
      else return false;
      return true;
    },
    escape() {
      if (!editing) return false;
      draw();
      return true;
    },
  };
}
