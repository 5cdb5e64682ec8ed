// Adding files: chosen or dropped, folders too; three at a time, each with its own progress.

import { advice, uploadFile } from "./api.js";
import { button, el, fill } from "./dom.js";
import { formatBytes, plural } from "./text.js";

const AT_ONCE = 3;
const SHOWN = 50; // upload rows drawn; the rest are only counted
const SETTLED = ["searchable", "failed", "skipped"];

/** Make the drop target on `root`, and the list of what is under way. */
export function makeUploads({ root, onChange, collection }) {
  const rows = el("ul", { class: "uploads", role: "list", "aria-label": "Uploads" });
  const head = el("div", { class: "row" });
  const node = el("section", { class: "upload-panel", hidden: true, "aria-label": "Uploads" }, head, rows);
  const input = el("input", { type: "file", multiple: true, class: "offscreen", tabindex: "-1", "aria-label": "Files to add" });
  const jobs = [];
  let running = 0;
  root.append(input);
  input.addEventListener("change", () => {
    add([...input.files].map((file) => ({ file, name: file.name })));
    input.value = "";
  });
  acceptDrops(root, add);

  function add(files) {
    const target = collection();
    for (const { file, name } of files) {
      const job = { file, name, collection: target, state: "waiting", sent: 0, reason: "", id: null, node: el("li") };
      jobs.push(job);
      if (jobs.length <= SHOWN) rows.append(job.node);
      draw(job);
    }
    pump();
  }

  function pump() {
    while (running < AT_ONCE) {
      const job = jobs.find((one) => one.state === "waiting");
      if (!job) break;
      running += 1;
      send(job).finally(() => {
        running -= 1;
        pump();
        onChange();
      });
    }
    drawHead();
  }

  async function send(job) {
    change(job, { state: "sending", sent: 0, reason: "" });
    try {
      const body = await uploadFile({ ...job, onProgress: (sent) => change(job, { sent }) });
      const row = body?.documents?.[0] ?? body ?? {};
      change(job, { state: row.state ?? "queued", id: row.id ?? null, reason: row.error ?? "", home: row.collection });
    } catch (error) {
      change(job, { state: "refused", reason: `${error.message} ${error.status >= 400 && error.status < 500 ? "" : advice(error)}`.trim() });
    }
  }

  function change(job, values) {
    Object.assign(job, values);
    draw(job);
    drawHead();
  }

  function draw(job) {
    const words = job.state === "sending" ? (job.sent < 1 ? `sending, ${Math.round(100 * job.sent)} %` : "sent, waiting") : job.state;
    const track = el("i", { class: "fill" });
    track.style.width = `${100 * (job.state === "waiting" ? 0 : job.state === "sending" ? job.sent : 1)}%`;
    fill(
      job.node,
      el("span", { class: "name" }, job.name),
      el("span", { class: "muted num" }, formatBytes(job.file.size)),
      el("span", { class: `chip still state-${job.state}` }, el("i", { "aria-hidden": "true" }), words),
      job.reason ? el("span", { class: `reason state-${job.state}` }, job.reason) : null,
      job.state === "refused" ? button({ name: `Send ${job.name} again`, symbol: "retry", label: "Retry" }, () => again(job)) : null,
      job.state === "sending" ? el("span", { class: "track", "aria-hidden": "true" }, track) : null,
    );
  }

  function again(job) {
    job.state = "waiting";
    draw(job);
    pump();
  }

  function drawHead() {
    node.hidden = jobs.length === 0;
    const open = jobs.filter((job) => ["waiting", "sending"].includes(job.state)).length;
    const refused = jobs.filter((job) => job.state === "refused").length;
    const words = [open ? `${plural(open, "file")} to send` : `${plural(jobs.length - refused, "file")} sent`, refused ? `${refused} refused` : null, jobs.length > SHOWN ? `the first ${SHOWN} are shown` : null];
    fill(head, el("p", { class: "small grow", role: "status" }, words.filter(Boolean).join(", ")), open ? null : button({ name: "Close the list of uploads", symbol: "close" }, dismiss));
  }

  function dismiss() {
    jobs.length = 0;
    rows.replaceChildren();
    drawHead();
  }

  return {
    node,
    pick: () => input.click(),
    busy: () => jobs.some((job) => ["waiting", "sending"].includes(job.state)),
    /** Take over the states that the library's list knows. */
    follow(documents) {
      const open = jobs.filter((job) => job.id !== null && !SETTLED.includes(job.state));
      if (!open.length) return;
      const known = new Map(documents.map((row) => [row.id, row]));
      for (const job of open) {
        const row = known.get(job.id);
        if (row && row.state !== job.state && (!job.home || row.collection === job.home)) change(job, { state: row.state, reason: row.error ?? "" });
      }
    },
  };
}

function acceptDrops(root, add) {
  let depth = 0; // dragenter and dragleave also fire for every child
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (by) => {
    depth = Math.max(0, depth + by);
    root.classList.toggle("dropping", depth > 0);
  };
  root.addEventListener("dragenter", (event) => carriesFiles(event) && mark(1));
  root.addEventListener("dragleave", (event) => carriesFiles(event) && mark(-1));
  root.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  root.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const plain = [...event.dataTransfer.files].map((file) => ({ file, name: file.name }));
    add(entries.length ? (await Promise.all(entries.map((entry) => filesIn(entry)))).flat() : plain);
  });
}

/** Return the files of a dropped entry; a folder is read to its end, batch by batch. */
async function filesIn(entry, path = "") {
  const name = path + entry.name;
  if (entry.isFile) return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), name }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return found;
    for (const child of batch) found.push(...(await filesIn(child, `${name}/`)));
  }
}
