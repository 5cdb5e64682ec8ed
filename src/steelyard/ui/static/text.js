// Offsets and small wordings. The API counts Unicode code points; JavaScript strings count UTF-16
// units, so every offset from the wire is converted here, once.

/** Convert code-point offsets of `text` to UTF-16 indices, in the order given; beyond the end clamps. */
export function utf16Offsets(text, offsets) {
  const order = offsets.map((_, i) => i).sort((a, b) => offsets[a] - offsets[b]);
  const result = new Array(offsets.length);
  let unit = 0;
  let point = 0;
  for (const i of order) {
    while (point < offsets[i] && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    result[i] = unit;
  }
  return result;
}

/** Convert `[{start, end}]` in code points to UTF-16, sorted, clamped, empty ones dropped. */
export function utf16Spans(text, spans) {
  const flat = utf16Offsets(text, spans.flatMap((span) => [span.start, span.end]));
  return spans
    .map((span, i) => ({ ...span, start: flat[2 * i], end: flat[2 * i + 1] }))
    .filter((span) => span.end > span.start)
    .sort((a, b) => a.start - b.start);
}

/** Keep a cut from splitting a surrogate pair: step back to the pair's first half. */
export function safeCut(text, index) {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code <= 0xdfff && index > 0 ? index - 1 : index;
}

const COUNT = new Intl.NumberFormat("en");

export const formatCount = (value) => COUNT.format(value);

export const plural = (value, one, many = `${one}s`) => `${formatCount(value)} ${value === 1 ? one : many}`;

export function formatMs(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 100) return `${Math.round(ms)} ms`;
  return `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
}

export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export const formatScore = (score) => Number(score).toPrecision(3);

/** Say how long ago a time was: ISO 8601 as the API writes it, or Unix seconds. */
export function ago(time, now = Date.now() / 1000) {
  const seconds = typeof time === "number" ? time : Date.parse(time) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const passed = Math.max(0, now - seconds);
  if (passed < 5) return "just now";
  if (passed < 60) return `${Math.floor(passed)} s ago`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

/** Show an address as people know it: a local file by its path, undone of its percent signs. */
export function readableUri(uri) {
  if (!uri?.startsWith("file://")) return uri ?? "";
  try {
    return decodeURIComponent(uri.slice("file://".length));
  } catch {
    return uri;
  }
}

/** Name the headings above a passage; the title that is already shown is left out. */
export function pathOf(heading, title) {
  const path = heading ?? [];
  return (path[0] === title ? path.slice(1) : path).join(" › ");
}
