// The list of documents: rows are kept and only changed ones are redrawn, so polling disturbs
// neither focus nor scrolling.

import { button, el } from "./dom.js";
import { ago, plural, readableUri } from "./text.js";

const keyOf = (row) => JSON.stringify([row.collection, row.id]);

export class DocumentList {
  constructor({ onOpen, onDelete }) {
    this.hooks = { onOpen, onDelete };
    this.node = el("ul", { class: "documents", role: "list", "aria-label": "Documents" });
    this.items = new Map();
  }

  /** Show exactly `rows`, in order. */
  draw(rows) {
    const kept = new Map(rows.map((row) => [keyOf(row), this.item(keyOf(row), row)])); // may replace nodes
    let cursor = this.node.firstElementChild;
    for (const item of kept.values()) {
      if (item.node === cursor) cursor = cursor.nextElementSibling;
      else this.node.insertBefore(item.node, cursor);
    }
    for (const [key, item] of this.items) if (!kept.has(key)) item.node.remove();
    this.items = kept;
  }

  item(key, row) {
    const known = this.items.get(key);
    const content = JSON.stringify(row);
    if (known?.content === content) {
      known.when.textContent = ago(row.updated_at);
      return known;
    }
    const drawn = { content, ...this.drawRow(row) };
    if (known) {
      const inside = [...known.node.querySelectorAll("button")].indexOf(document.activeElement);
      known.node.replaceWith(drawn.node);
      if (inside >= 0) drawn.node.querySelectorAll("button")[inside]?.focus();
    }
    return drawn;
  }

  drawRow(row) {
    const name = row.title || row.id;
    const when = el("span", { class: "when muted num" }, ago(row.updated_at));
    const pending = ["queued", "parsing", "embedding"].includes(row.state);
    const node = el(
      "li",
      { class: "document" },
      el("div", { class: "what" },
        el("button", { type: "button", class: "title", on: { click: () => this.hooks.onOpen(row) } }, name),
        el("span", { class: "uri muted", title: row.uri }, readableUri(row.uri)),
        row.error ? el("span", { class: `reason state-${row.state}` }, row.error) : null),
      el("span", { class: `chip still state-${row.state}${pending ? " moving" : ""}` }, el("i", { "aria-hidden": "true" }), row.state),
      el("span", { class: "size muted num" }, row.num_chunks ? plural(row.num_chunks, "passage") : ""),
      when,
      button({ name: `Delete ${name}`, symbol: "trash" }, () => this.hooks.onDelete(row)),
    );
    return { node, when };
  }
}
