// A small, safe subset of Markdown for answers: paragraphs, headings, lists, quotes, code, bold.
// It only makes DOM nodes, and every piece of text knows where in the source it came from, so
// that citation markers and unsupported sentences can be placed by offset.

import { el } from "./dom.js";

// Code, bold, and a citation marker in any form that the server resolves: [1], [1, 2], [1-3],
// [^1], [Source 1] and the same in lenticular brackets.
// Bounded, so that no text makes the search quadratic.
const INLINE = new RegExp(
  [
    /(?<!`)(?<ticks>`{1,3})(?!`)(?<code>[^`\n]+?)\k<ticks>(?!`)/,
    /\*\*(?=\S)(?<bold>[^\n]{1,1000}?)(?<=\S)\*\*/,
    /[[【]\s*\^?(?:(?:sources?|passages?)\s+)?(?<cited>\d{1,3}(?:\s*(?:[,;–-]|and|&)\s*\d{1,3})*)(?:\s*†[^\]】]{0,40})?\s*[\]】](?!\()/,
  ].map((part) => part.source).join("|"),
  "gi",
);
const ITEM = /^(\s*)([-*+]|\d{1,3}[.)])\s+(?=\S)/;
const HEADING = /^(#{1,6})\s+(?=\S)/;
const FENCE = /^\s*(```+|~~~+)/;
const QUOTE = /^\s*>\s?/;

const rendered = new WeakMap();

/**
 * Draw `source` into `container`, keeping the nodes of blocks that haven't changed (text streams).
 * `cite(n, at)` makes the node for a marker `[n]` at UTF-16 index `at`, or returns null.
 * `spans` are sorted UTF-16 ranges to underline.
 */
export function renderMarkdown(container, source, { cite = () => null, spans = [], version = 0 } = {}) {
  const before = rendered.get(container) ?? [];
  const context = { source, cite, spans };
  const after = blocks(source).map((block, i) => {
    const key = `${version}|${block.kind}|${block.start}|${source.slice(block.start, block.end)}`;
    return before[i]?.key === key ? before[i] : { key, node: draw(block, context) };
  });
  after.forEach(({ node }, i) => {
    const old = container.childNodes[i];
    if (old === node) return;
    if (old) old.replaceWith(node);
    else container.append(node);
  });
  while (container.childNodes.length > after.length) container.lastChild.remove();
  rendered.set(container, after);
}

/** Cut the source into blocks; each has its kind, its range, and its lines as ranges. */
export function blocks(source) {
  const result = [];
  let fence = null;
  let open = null;
  for (const line of lines(source)) {
    const text = source.slice(line.start, line.end);
    if (fence) {
      open.end = line.end;
      if (text.trimStart().startsWith(fence) && text.trim().replaceAll(fence[0], "") === "") fence = null;
      else open.lines.push(line);
      continue;
    }
    const kind = kindOf(text, open);
    if (kind === "blank") open = null;
    else if (open && kind === open.kind && kind !== "heading") {
      open.lines.push(line);
      open.end = line.end;
    } else {
      open = { kind, start: line.start, end: line.end, lines: kind === "code" ? [] : [line] };
      result.push(open);
    }
    if (kind === "code") fence = FENCE.exec(text)[1];
  }
  return result;
}

function kindOf(text, open) {
  if (text.trim() === "") return "blank";
  if (FENCE.test(text)) return "code";
  if (HEADING.test(text)) return "heading";
  if (QUOTE.test(text)) return "quote";
  if (ITEM.test(text)) return "list";
  return open?.kind === "list" && /^\s{2,}/.test(text) ? "list" : "paragraph";
}

function lines(source) {
  const result = [];
  let start = 0;
  for (const text of source.split("\n")) {
    result.push({ start, end: start + text.length });
    start += text.length + 1;
  }
  return result;
}

function draw(block, context) {
  if (block.kind === "code") return drawCode(block, context);
  if (block.kind === "list") return drawList(block, context);
  const strip = { heading: HEADING, quote: QUOTE }[block.kind];
  const tag = { heading: "h3", quote: "blockquote", paragraph: "p" }[block.kind];
  const node = el(tag);
  block.lines.forEach((line, i) => {
    const mark = strip?.exec(context.source.slice(line.start, line.end))?.[0].length ?? 0;
    if (i > 0) node.append(el("br"));
    inline(node, line.start + mark, line.end, context);
  });
  return node;
}

function drawCode(block, { source }) {
  const code = block.lines.map((line) => source.slice(line.start, line.end)).join("\n");
  return el("pre", { tabindex: "0" }, el("code", {}, code));
}

/** Draw a list; deeper indentation opens a list inside the last item. */
function drawList(block, context) {
  let stack = [];
  let root = null;
  for (const line of block.lines) {
    const text = context.source.slice(line.start, line.end);
    const match = ITEM.exec(text);
    if (!match) {
      const item = stack.at(-1)?.list.lastElementChild;
      item?.append(el("br"));
      if (item) inline(item, line.start + (text.length - text.trimStart().length), line.end, context);
      continue;
    }
    const indent = match[1].length;
    while (stack.length > 1 && indent < stack.at(-1).indent) stack.pop();
    if (!stack.length || indent >= stack.at(-1).indent + 2) {
      const list = listFor(match[2]);
      if (stack.length) stack.at(-1).list.lastElementChild.append(list);
      else root = list;
      stack = [...stack, { indent, list }];
    }
    const item = el("li");
    stack.at(-1).list.append(item);
    inline(item, line.start + match[0].length, line.end, context);
  }
  return root;
}

function listFor(bullet) {
  const first = Number.parseInt(bullet, 10);
  return Number.isNaN(first) ? el("ul") : el("ol", { start: first });
}

/** Draw `source[start:end]`, one line of running text. */
function inline(parent, start, end, context) {
  const text = context.source.slice(start, end);
  let from = start;
  for (const match of text.matchAll(INLINE)) {
    const at = start + match.index;
    const node = inlineNode(match, at, context);
    if (!node) continue;
    plain(parent, from, at, context);
    parent.append(node);
    from = at + match[0].length;
  }
  plain(parent, from, end, context);
}

function inlineNode({ groups }, at, context) {
  if (groups.code !== undefined) return el("code", {}, groups.code);
  if (groups.bold !== undefined) {
    const strong = el("strong");
    inline(strong, at + 2, at + 2 + groups.bold.length, context);
    return strong;
  }
  const nodes = numbersIn(groups.cited).map((n) => context.cite(n, at));
  if (nodes.some((node) => node === null)) return null;
  return nodes.length === 1 ? nodes[0] : el("span", { class: "cites" }, nodes);
}

/** Read "1", "1, 2" or "1-3"; a range over more than ten numbers names only its ends. */
function numbersIn(text) {
  return text.split(/[,;&]|and/i).flatMap((part) => {
    const [first, last = first] = part.split(/[–-]/).map(Number);
    if (last < first || last - first > 9) return [first, last];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Append text, underlining the parts that lie in an unsupported span. */
function plain(parent, start, end, { source, spans }) {
  let at = start;
  for (const span of spans) {
    const from = Math.max(at, span.start);
    const to = Math.min(end, span.end);
    if (from >= to) continue;
    parent.append(source.slice(at, from));
    parent.append(el("span", { class: "unsupported", title: "No source supports this sentence" }, source.slice(from, to)));
    at = to;
  }
  if (at < end) parent.append(source.slice(at, end));
}
