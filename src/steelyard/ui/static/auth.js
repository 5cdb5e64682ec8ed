// The API key: asked for when the server wants one, kept for this browser session only.

import { el } from "./dom.js";

const KEY = "steelyard.key";
let key = sessionStorage.getItem(KEY) ?? "";
let asking = null;
let declined = false;

export const hasKey = () => key !== "";
export const currentKey = () => key;

export function authorization() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

export function forgetKey() {
  key = "";
  declined = false;
  sessionStorage.removeItem(KEY);
}

/**
 * Obtain a key after a 401 to a request sent with `used`. Return whether to send it again.
 * Background requests don't ask again once the person has declined.
 */
export async function obtainKey(used, { background }) {
  if (key !== used) return true;
  if (background && declined && !asking) return false;
  asking ??= ask(used !== "").finally(() => {
    asking = null;
  });
  return asking;
}

function ask(refused) {
  return new Promise((resolve) => {
    const input = el("input", { type: "password", name: "key", required: true, autocomplete: "off", id: "api-key", spellcheck: "false" });
    const dialog = el(
      "dialog",
      { class: "modal", "aria-labelledby": "key-title" },
      el(
        "form",
        { method: "dialog", on: { submit: () => remember(input.value.trim()) } },
        el("h2", { id: "key-title" }, "This Steelyard needs an API key"),
        el("p", { class: refused ? "error-text" : "muted" }, refused
          ? "The server refused that key. Check for a missing character, or ask its operator for a new one."
          : "Ask its operator for one. It is kept until you close this tab."),
        el("label", { for: "api-key" }, "API key"),
        input,
        el("div", { class: "row end" },
          el("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Not now"),
          el("button", { type: "submit", class: "primary" }, "Use this key")),
      ),
    );
    let accepted = false;
    const remember = (value) => {
      if (!value) return;
      key = value;
      sessionStorage.setItem(KEY, key);
      accepted = true;
    };
    dialog.addEventListener("close", () => {
      declined = !accepted;
      dialog.remove();
      resolve(accepted);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
