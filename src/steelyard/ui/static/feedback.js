// Thumbs up or down on an answer, with an optional word on why, or the answer as it should be.

import { sendFeedback } from "./api.js";
import { button, el, fill, toast } from "./dom.js";

export function feedback(answerId, text) {
  const more = el("form", { class: "comment", hidden: true });
  const up = button({ name: "Good answer", symbol: "up", "aria-pressed": "false" }, () => rate("up"));
  const down = button({ name: "Bad answer", symbol: "down", "aria-pressed": "false" }, () => rate("down"));
  let rating = null;

  async function send(comment, correction) {
    try {
      await sendFeedback({ answer_id: answerId, rating, comment, ...(correction ? { correction } : {}) });
      return true;
    } catch (error) {
      toast(`The feedback was not saved: ${error.message}`);
      return false;
    }
  }

  async function rate(value) {
    const before = rating;
    rating = value;
    press();
    if (!(await send(""))) {
      rating = before;
      press();
      return;
    }
    askWhy();
  }

  function press() {
    up.setAttribute("aria-pressed", String(rating === "up"));
    down.setAttribute("aria-pressed", String(rating === "down"));
  }

  function askWhy() {
    const input = el("input", { type: "text", maxlength: "2000", "aria-label": "Comment", placeholder: rating === "up" ? "What was good? (optional)" : "What was wrong? (optional)" });
    const better = el("textarea", { rows: "6", maxlength: "20000", "aria-label": "Corrected answer", hidden: true });
    const edit = el("button", { type: "button", class: "quiet", on: { click: () => correct(better, edit) } }, "Correct it");
    fill(more, input, rating === "down" ? edit : null, el("button", { type: "submit", class: "quiet" }, "Send"), better);
    more.hidden = false;
    if (rating === "down") input.focus();
  }

  function correct(better, edit) {
    better.value = text;
    better.hidden = false;
    edit.hidden = true;
    better.focus();
  }

  more.addEventListener("submit", async (event) => {
    event.preventDefault();
    const comment = more.querySelector("input").value.trim();
    const written = more.querySelector("textarea").value.trim();
    const correction = written === text.trim() ? "" : written;
    if ((comment || correction) && !(await send(comment, correction))) return;
    more.hidden = true;
    toast("Thank you, noted");
  });

  return el("div", { class: "feedback", role: "group", "aria-label": "Feedback" }, up, down, more);
}
