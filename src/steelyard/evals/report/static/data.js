// The blocks: base64 of gzip of JSON in script elements, unpacked when they are first needed.

const unpacked = new Map(); // block name -> promise of its value; a few at a time
const MOST_UNPACKED = 120;

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function unpack(name) {
  const node = document.getElementById(name) ?? (await wholePage(), document.getElementById(name));
  const stream = new Blob([bytesOf(node.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

/** Return a block's value; the blocks of old are forgotten. */
function readBlock(name) {
  const found = unpacked.get(name) ?? unpack(name);
  unpacked.delete(name);
  unpacked.set(name, found);
  if (unpacked.size > MOST_UNPACKED) unpacked.delete(unpacked.keys().next().value);
  return found;
}

/** The script runs before the last blocks have been read. */
function wholePage() {
  if (document.readyState !== "loading") return null;
  return new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
}

async function readQuestion(index, place) {
  const rows = await readBlock(`q${Math.floor(place / index.block)}`);
  return rows[place % index.block];
}

async function readPassages(index, places) {
  const wanted = [...new Set(places)];
  const rows = await Promise.all(wanted.map(async (place) => {
    const block = await readBlock(`p${Math.floor(place / index.passages)}`);
    return [place, block[place % index.passages]];
  }));
  return new Map(rows);
}

// Building the page: text only ever enters as text nodes.

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function choice(name, options, onChange) {
  const select = el("select", { "aria-label": name, on: { change: onChange } },
    options.map(([value, text]) => el("option", { value }, text)));
  return { select, node: el("label", {}, el("span", {}, name), select) };
}

// Figures, as the report's tables write them.

function shown(measure, value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const fixed = (digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  if (measure.unit === "ms") return `${fixed(size < 10 ? 2 : size < 100 ? 1 : 0)} ms`;
  if (measure.unit === "usd") return `$${fixed(size < 0.01 ? 6 : 4)}`.replace("$−", "−$");
  return fixed(measure.unit === "tokens" || size >= 1000 ? 0 : 3);
}

function shownDelta(measure, value) {
  if (value === null) return "–";
  const text = shown(measure, value);
  if (!/[1-9]/.test(text)) return text.replace("−", "");
  return value > 0 ? `+${text}` : text;
}
