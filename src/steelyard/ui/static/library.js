// Library: which documents there are, in what state, and how to add and remove them.

import { ApiError, advice, deleteDocument, getStatus, listDocuments } from "./api.js";
import { DocumentList } from "./documents.js";
import { button, el, fill, icon, toast } from "./dom.js";
import { openReader } from "./reader.js";
import { formatCount, plural, readableUri } from "./text.js";
import { makeUploads } from "./upload.js";

const PAGE = 100; // documents shown at first, and added by "Show more"
const FETCH = 500; // documents per request when more than a page is wanted
const STATES = ["queued", "parsing", "embedding", "searchable", "failed", "skipped"];
const PENDING = ["queued", "parsing", "embedding"];
const BUSY_MS = 1000;
const CALM_MS = 5000;

export function mountLibrary(root) {
  const view = makeParts(root);
  const list = new DocumentList({ onOpen: open, onDelete: confirmDelete });
  const uploads = makeUploads({ root, onChange: () => poll({ force: true }), collection: () => view.collection() });
  const filters = { state: "", text: "", collection: "" };
  let wanted = PAGE;
  let rows = [];
  let next = null;
  let seen = ""; // the status that `rows` belong to
  let timer = null;
  let visible = false;
  let loading = null;

  view.listPlace.append(list.node);
  view.uploadPlace.append(uploads.node);
  view.add.addEventListener("click", () => uploads.pick());
  view.more.addEventListener("click", () => {
    wanted += PAGE;
    reload();
  });
  view.search.addEventListener("input", () => {
    filters.text = view.search.value.trim().toLowerCase();
    wanted = PAGE;
    reload();
  });
  view.picker.addEventListener("change", () => {
    filters.collection = view.picker.value;
    restart();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : visible && poll()));

  function restart() {
    wanted = PAGE;
    rows = [];
    next = null;
    reload({ fresh: true });
  }

  function chooseState(state) {
    filters.state = filters.state === state ? "" : state;
    restart();
    view.drawCounts(view.status, filters.state, chooseState);
  }

  /** Ask for the status; fetch the rows again only if something changed. */
  async function poll({ force = false } = {}) {
    clearTimeout(timer);
    if (!visible || document.hidden) return;
    const started = performance.now();
    let pending = uploads.busy();
    try {
      const status = await getStatus({ background: true });
      const now = JSON.stringify([status.snapshot, status.states, status.num_documents]);
      pending ||= PENDING.some((state) => status.states?.[state] > 0);
      view.drawStatus(status, filters.state, chooseState);
      if (force || now !== seen) {
        if (await reload({ fresh: true, inPoll: true })) seen = now;
      }
      view.drawProblem(null);
    } catch (error) {
      view.drawProblem(error, () => poll({ force: true }));
      if (!(error instanceof ApiError)) reportError(error);
    }
    const took = performance.now() - started;
    clearTimeout(timer);
    if (visible && !document.hidden) timer = setTimeout(poll, Math.max(pending ? BUSY_MS : CALM_MS, 4 * took));
  }

  const matches = (row) => !filters.text || `${row.title}\n${row.uri}\n${row.id}`.toLowerCase().includes(filters.text);

  /**
   * Fetch until `wanted` matching rows are there or the list ends, then draw. A later call stops
   * an earlier one; return whether this one came to its end.
   */
  async function reload({ fresh = false, inPoll = false } = {}) {
    loading?.abort();
    const here = (loading = new AbortController());
    try {
      let found = fresh ? [] : rows;
      let after = fresh ? null : next;
      let more = fresh || after !== null;
      while (more && found.filter(matches).length < wanted) {
        const limit = wanted > PAGE || filters.text ? FETCH : PAGE;
        const page = await listDocuments({ limit, after, state: filters.state, collection: filters.collection }, { signal: here.signal, background: true });
        found = [...found, ...page.documents];
        after = page.next ?? null;
        more = after !== null;
        if (!fresh) draw(found, after);
      }
      draw(found, after);
      return true;
    } catch (error) {
      if (inPoll && error.name !== "AbortError") throw error;
      if (error.name !== "AbortError") view.drawProblem(error, () => poll({ force: true }));
      return false;
    }
  }

  function draw(found, after) {
    rows = found;
    next = after;
    const matching = rows.filter(matches);
    list.draw(matching.slice(0, wanted));
    uploads.follow(rows);
    const left = matching.length > wanted || next !== null;
    view.more.hidden = !left;
    view.shown.textContent = filters.text
      ? `${plural(Math.min(matching.length, wanted), "match", "matches")} shown${left ? ", more may follow" : ""}`
      : `${plural(Math.min(matching.length, wanted), "document")} shown${left ? ", more below" : ""}`;
    view.drawEmpty({ any: rows.length > 0, match: matching.length > 0, filtered: Boolean(filters.state || filters.text) });
  }

  function open(row) {
    openReader([{ documentId: row.id, collection: row.collection, title: row.title, uri: row.uri, start: null, end: null, quote: null }]);
  }

  function confirmDelete(row) {
    askToDelete(row, async () => {
      await deleteDocument(row.id, row.collection);
      rows = rows.filter((one) => one.id !== row.id || one.collection !== row.collection);
      draw(rows, next);
      toast(`Deleted: ${row.title || row.id}`);
      poll({ force: true });
    });
  }

  function openFromLink(params) {
    const [start, end] = (params.get("span") ?? "").split("-").map((part) => (/^\d+$/.test(part) ? Number(part) : null));
    const spanned = start !== null && end !== undefined && end !== null;
    openReader([{ documentId: params.get("doc"), collection: params.get("collection"), title: "", uri: "", start: spanned ? start : null, end: spanned ? end : null, quote: null }]);
  }

  return {
    show(params) {
      visible = true;
      poll({ force: rows.length === 0 });
      if (params.get("doc")) openFromLink(params);
    },
    hide() {
      visible = false;
      clearTimeout(timer);
    },
    focus: () => view.search.focus(),
    escape: () => false,
  };
}

function makeParts(root) {
  const parts = {
    summary: el("p", { class: "muted" }),
    problem: el("div", { role: "alert" }),
    progress: el("div", { class: "progress", role: "progressbar", "aria-label": "Documents settled", "aria-valuemin": "0" }),
    counts: el("div", { class: "counts", role: "group", "aria-label": "Filter by state" }),
    search: el("input", { type: "search", placeholder: "Filter by title or address", "aria-label": "Filter by title or address", "aria-keyshortcuts": "/" }),
    picker: el("select", { "aria-label": "Collection", hidden: true }),
    add: el("button", { type: "button", class: "primary" }, icon("upload"), "Add files"),
    more: el("button", { type: "button", class: "more", hidden: true }, "Show more"),
    shown: el("p", { class: "muted small" }),
    empty: el("div", { class: "empty" }),
    uploadPlace: el("div"),
    listPlace: el("div"),
    status: null,
    collection: () => parts.picker.value || null,
  };
  parts.drawProblem = (error, retry) => fill(parts.problem, error && el("div", { class: "notice bad" }, el("p", {}, el("strong", {}, error.message), " ", advice(error)), button({ name: "Retry", symbol: "retry", label: "Retry" }, retry)));
  parts.drawStatus = (status, chosen, choose) => drawStatus(parts, status, chosen, choose);
  parts.drawCounts = (status, chosen, choose) => drawCounts(parts, status, chosen, choose);
  parts.drawEmpty = ({ any, match, filtered }) => fill(parts.empty, match ? null : emptyWords(any, filtered));
  root.append(el("div", { class: "library" },
    el("div", { class: "row head" }, el("h1", {}, "Library"), el("span", { class: "grow" }), parts.add),
    parts.summary, parts.problem, parts.progress, parts.uploadPlace,
    el("div", { class: "row filters" }, parts.counts, el("span", { class: "grow" }), parts.picker, parts.search),
    parts.listPlace, parts.empty, parts.more, parts.shown));
  return parts;
}

function drawStatus(parts, status, chosen, choose) {
  parts.status = status;
  const watching = status.watching ?? [];
  fill(parts.summary, `${plural(status.num_documents ?? 0, "document")}, ${plural(status.num_chunks ?? 0, "passage")}`, watching.length ? [", watching ", watching.map((path, i) => [i ? ", " : "", el("code", {}, String(path))])] : null);
  drawProgress(parts.progress, status.states ?? {});
  drawCounts(parts, status, chosen, choose);
  const names = (status.collections ?? []).map((one) => (typeof one === "string" ? one : one.name)).filter(Boolean);
  const picked = parts.picker.value;
  parts.picker.hidden = names.length < 2;
  if (parts.picker.options.length !== names.length + 1) fill(parts.picker, el("option", { value: "" }, "All collections"), names.map((name) => el("option", { value: name, selected: name === picked }, name)));
}

function drawProgress(node, states) {
  const count = (state) => states[state] ?? 0;
  const total = STATES.reduce((sum, state) => sum + count(state), 0);
  const pending = PENDING.reduce((sum, state) => sum + count(state), 0);
  node.hidden = pending === 0;
  node.setAttribute("aria-valuemax", String(total));
  node.setAttribute("aria-valuenow", String(total - pending));
  node.setAttribute("aria-valuetext", `${formatCount(total - pending)} of ${formatCount(total)} documents settled`);
  fill(node, ["searchable", "skipped", "failed"].map((state) => {
    const part = el("i", { class: `state-${state}` });
    part.style.width = `${total ? (100 * count(state)) / total : 0}%`;
    return part;
  }));
}

/** The counts are the filter: pressing one shows only that state, pressing again shows all. */
function drawCounts(parts, status, chosen, choose) {
  const states = status?.states ?? {};
  const focused = document.activeElement?.dataset?.state;
  fill(parts.counts, STATES.filter((state) => states[state] > 0 || state === chosen).map((state) =>
    el("button", { type: "button", class: `chip state-${state}`, "data-state": state, "aria-pressed": String(state === chosen), on: { click: () => choose(state) } }, el("i", { "aria-hidden": "true" }), state, el("span", { class: "num" }, formatCount(states[state] ?? 0)))));
  if (focused) parts.counts.querySelector(`[data-state="${CSS.escape(focused)}"]`)?.focus();
}

function emptyWords(any, filtered) {
  if (any || filtered) return el("p", {}, "No document matches this filter.");
  return [el("h2", {}, "The library is empty"), el("p", { class: "muted" }, "Drop files or a folder anywhere here, or choose them with Add files. Each one says when it is searchable, or why it can't be.")];
}

/** Ask before deleting; `remove` does it and may fail. */
function askToDelete(row, remove) {
  const problem = el("p", { class: "error-text", role: "alert" });
  const yes = el("button", { type: "button", class: "danger" }, "Delete");
  const no = el("button", { type: "button", class: "quiet", autofocus: true }, "Keep it");
  const dialog = el("dialog", { class: "modal", "aria-labelledby": "delete-title" },
    el("h2", { id: "delete-title" }, "Delete this document?"),
    el("p", {}, el("strong", {}, row.title || row.id), el("br"), el("span", { class: "muted uri" }, readableUri(row.uri))),
    el("p", {}, "The next question won't find it. A file on disk stays where it is."),
    problem,
    el("div", { class: "row end" }, no, yes));
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", async () => {
    yes.disabled = true;
    try {
      await remove();
      dialog.close();
    } catch (error) {
      fill(problem, `${error.message} ${advice(error)}`);
      yes.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
