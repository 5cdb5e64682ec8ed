// About: what is running here, read-only, and the keys that work on this page.

import { advice, getStatus } from "./api.js";
import { forgetKey, hasKey } from "./auth.js";
import { el, fill, toast } from "./dom.js";
import { formatCount } from "./text.js";

const KEYS = [
  ["/", "go to the question box, or to the filter in the library"],
  ["Enter", "ask"],
  ["Shift + Enter", "new line in the question"],
  ["↑", "in an empty box: the last question again"],
  ["Esc", "close the source, or stop the answer"],
];

export function mountAbout(root) {
  const facts = el("div");
  const key = el("div");
  root.append(el("div", { class: "about" },
    el("h1", {}, "About this Steelyard"), facts, key,
    el("h2", {}, "Keys"),
    el("dl", { class: "facts keys" }, KEYS.map(([name, meaning]) => [el("dt", {}, el("kbd", {}, name)), el("dd", {}, meaning)])),
    el("h2", {}, "For programs"),
    el("p", {}, el("a", { href: "/docs" }, "API reference"), " · ", el("a", { href: "/metrics" }, "Metrics"), " · ", el("a", { href: "/readyz" }, "Readiness"))));

  function drawKey() {
    fill(key, hasKey() ? el("p", {}, "This tab holds an API key. ", el("button", { type: "button", class: "quiet", on: { click: forget } }, "Forget the key")) : null);
  }

  function forget() {
    forgetKey();
    drawKey();
    toast("Key forgotten");
  }

  async function load() {
    drawKey();
    try {
      fill(facts, factList(await getStatus({ background: true })));
    } catch (error) {
      fill(facts, el("p", { class: "notice bad", role: "alert" }, el("strong", {}, error.message), " ", advice(error)));
    }
    drawKey();
  }

  return { show: load, hide() {}, focus() {}, escape: () => false };
}

function factList(status) {
  const named = (value) => (typeof value === "string" ? value : (value?.name ?? value?.model ?? value?.fingerprint ?? JSON.stringify(value)));
  const list = (values) => (values?.length ? values.map(named).join(", ") : "none");
  const rows = [
    ["Version", status.version],
    ["Documents", formatCount(status.num_documents ?? 0)],
    ["Passages", formatCount(status.num_chunks ?? 0)],
    ["Snapshot", String(status.snapshot ?? "")],
    ["Embedder", named(status.embedder ?? "")],
    ["Answered by", named(status.generator ?? "")],
    ["Collections", list(status.collections)],
    ["Watching", list(status.watching)],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
