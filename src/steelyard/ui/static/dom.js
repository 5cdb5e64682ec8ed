// Building the page. Text only ever enters as text nodes: documents and answers are untrusted.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. `attributes`: `on` holds listeners, `class` and others are set as they are;
 * true sets an empty attribute, null and false none. Children: nodes, strings, null.
 */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/** Replace everything inside `node`. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

const PATHS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  up: "M7 11v9H4v-9zM7 11l4-8c1.7 0 2.6 1.2 2.2 2.8L12.5 9H19a2 2 0 0 1 2 2.3l-1.2 7A2 2 0 0 1 17.8 20H7",
  down: "M17 13V4h3v9zM17 13l-4 8c-1.7 0-2.6-1.2-2.2-2.8L11.5 15H5a2 2 0 0 1-2-2.3l1.2-7A2 2 0 0 1 6.2 4H17",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.5l-3 3A4 4 0 0 0 10.7 18L12 17",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  upload: "M12 16V4M6.5 9.5 12 4l5.5 5.5M4 16v4h16v-4",
  previous: "M14.5 6 8.5 12l6 6",
  next: "M9.5 6l6 6-6 6",
  retry: "M19 12a7 7 0 1 1-2-5M17 3v4h-4",
  alert: "M12 4 2.5 20h19zM12 10v4.5M12 17v.5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4 7 7 0 0 0 20 14.5z",
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
};

function drawing(className, viewBox, paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", viewBox);
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", className);
  for (const [kind, d] of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** Make a decorative 24 by 24 line icon; the control around it carries the name. */
export const icon = (name) => drawing("icon", "0 0 24 24", [["", PATHS[name]]]);

/** Draw the steelyard: a hook and pan on the short arm, the sliding weight on the graduated one. */
export function balance() {
  const ticks = Array.from({ length: 51 }, (_, i) => `M${190 + i * 11} 46v${i % 10 === 0 ? -13 : i % 5 === 0 ? -9 : -5}`).join("");
  return drawing("balance", "28 0 738 116", [
    ["ticks", ticks],
    ["frame", "M30 46H764M764 40v12M150 46V22M150 10a6 6 0 1 0 .1 0zM70 46v14M70 60 44 88M70 60l26 28"],
    ["solid", "M34 88h72a36 22 0 0 1-72 0z"],
    ["brass slide", "M520 38h20v14h-7l0 8h9l13 44h-50l13-44h9v-8h-7z"],
  ]);
}

/** Make a button with an icon; without a visible label the `name` is read aloud and shown on hover. */
export function button({ name, symbol = null, label = null, kind = "quiet", ...attributes }, onClick) {
  return el(
    "button",
    {
      type: "button",
      class: label === null ? `${kind} icon-only` : kind,
      "aria-label": label === name ? null : name,
      title: label === null ? name : null,
      on: { click: onClick },
      ...attributes,
    },
    symbol ? icon(symbol) : null,
    label,
  );
}

/** Show a short message for a few seconds and have it read aloud. */
export function toast(message) {
  const note = el("p", {}, message);
  document.querySelector(".toasts").append(note);
  setTimeout(() => note.remove(), 4000);
}

/** Copy text, also where the asynchronous clipboard is missing (plain HTTP on a LAN). */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "offscreen", readonly: true, "aria-hidden": "true" });
    area.value = text;
    const host = document.querySelector("dialog[open]") ?? document.body;
    host.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) {
      toast("This browser refuses to copy. Select the text instead.");
      return;
    }
  }
  toast(done);
}
