// The views, in the order of their tabs. To add one: a module with a mount function, a line here.
//
// `mount(root)` is called once, when the view is first shown, and returns
// {show(params), hide(), focus(), escape()}: `params` are those of the hash, `focus` serves the
// key "/", and `escape` serves Esc and returns whether it did something.

import { el } from "./dom.js";
import { mountAbout } from "./about.js";
import { mountAsk } from "./ask.js";
import { mountLab } from "./lab.js";
import { mountLibrary } from "./library.js";
import { mountOperations } from "./operations.js";

/** Load a large view's modules and its styles when it is first shown. */
function later(name, load) {
  return (root) => {
    let made = null;
    let shown = null;
    const styled = new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href: `/static/${name}.css`, on: { load: done, error: done } })));
    Promise.all([load(), styled]).then(([mount]) => {
      made = mount(root);
      if (shown) made.show(shown);
    }, () => root.append(el("p", { class: "notice bad", role: "alert" }, "Steelyard doesn't answer at this address. Check that `steelyard serve` is running, then reload.")));
    return {
      show(params) {
        shown = params;
        made?.show(params);
      },
      hide() {
        shown = null;
        made?.hide();
      },
      focus: () => made?.focus(),
      escape: () => made?.escape() ?? false,
    };
  };
}

export const VIEWS = [
  { id: "ask", label: "Ask", mount: mountAsk },
  { id: "library", label: "Library", mount: mountLibrary },
  { id: "lab", label: "Lab", mount: mountLab },
  { id: "costs", label: "Costs", mount: later("costs", async () => (await import("./costs.js")).mountCosts) },
  { id: "operations", label: "Operations", mount: mountOperations },
  { id: "about", label: "About", mount: mountAbout },
];
