// The frame: tabs on a beam with a sliding weight, hash routes, colours, and the page's keys.

import { el, fill, icon } from "./dom.js";
import { closeReader, readerIsOpen } from "./reader.js";
import { VIEWS } from "./views.js";

const main = document.getElementById("main");
const tabs = document.querySelector(".tabs");
const poise = document.querySelector(".poise");
const mounted = new Map();
let current = null;

for (const { id, label } of VIEWS) tabs.append(el("a", { href: `#/${id}`, "data-view": id }, label));

function route() {
  const [id, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const view = VIEWS.find((one) => one.id === id) ?? VIEWS[0];
  const arriving = current !== null && current.id !== view.id;
  if (arriving) {
    mounted.get(current.id).controls.hide();
    closeReader();
  }
  current = view;
  for (const [key, { root }] of mounted) root.hidden = key !== view.id;
  const { root, controls } = mounted.get(view.id) ?? mount(view);
  root.hidden = false;
  for (const tab of tabs.children) {
    if (tab.dataset.view === view.id) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  tabs.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = view.id === VIEWS[0].id ? "Steelyard" : `${view.label} · Steelyard`;
  slideWeight();
  if (arriving) scrollTo(0, 0);
  controls.show(new URLSearchParams(query));
}

function mount(view) {
  const root = el("section", { class: "view", id: `view-${view.id}`, "aria-label": view.label });
  main.append(root);
  const made = { root, controls: view.mount(root) };
  mounted.set(view.id, made);
  return made;
}

/** Hang the weight below the tab that is open. */
function slideWeight() {
  const tab = tabs.querySelector("[aria-current]");
  if (!tab) return;
  const box = tab.getBoundingClientRect();
  poise.style.setProperty("--x", `${box.left + box.width / 2}px`);
}

const typing = (target) => target.matches("input, textarea, select, [contenteditable]");

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog.modal[open]")) return;
  const { controls } = mounted.get(current.id);
  if (event.key === "/" && !typing(event.target)) {
    event.preventDefault();
    controls.focus();
  }
  if (event.key === "Escape" && !controls.escape() && readerIsOpen()) closeReader();
}

const THEMES = {
  "": { symbol: "system", name: "Colours: as the system", next: "light" },
  light: { symbol: "sun", name: "Colours: light", next: "dark" },
  dark: { symbol: "moon", name: "Colours: dark", next: "" },
};

function setUpTheme() {
  const toggle = document.getElementById("theme");
  const draw = () => {
    const { symbol, name } = THEMES[document.documentElement.dataset.theme ?? ""];
    fill(toggle, icon(symbol));
    toggle.setAttribute("aria-label", name);
    toggle.title = name;
  };
  toggle.addEventListener("click", () => {
    const { next } = THEMES[document.documentElement.dataset.theme ?? ""];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try {
      localStorage.setItem("steelyard.theme", next);
    } catch {
      // Storage is forbidden here: the choice lasts until the page is left.
    }
    draw();
  });
  draw();
}

setUpTheme();
addEventListener("hashchange", route);
addEventListener("resize", slideWeight);
tabs.addEventListener("scroll", slideWeight);
addEventListener("keydown", onKey);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
route();
