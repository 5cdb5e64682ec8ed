// The views, in the order of their tabs. To add one: a module with a mount function, a line here.
//
// `mount(root)` is called once, when the view is first shown, and returns
// {show(params), hide(), focus(), escape()}: `params` are those of the hash, `focus` serves the
// key "/", and `escape` serves Esc and returns whether it did something.

import { mountAbout } from "./about.js";
import { mountAsk } from "./ask.js";
import { mountLab } from "./lab.js";
import { mountLibrary } from "./library.js";
import { mountOperations } from "./operations.js";

export const VIEWS = [
  { id: "ask", label: "Ask", mount: mountAsk },
  { id: "library", label: "Library", mount: mountLibrary },
  { id: "lab", label: "Lab", mount: mountLab },
  { id: "operations", label: "Operations", mount: mountOperations },
  { id: "about", label: "About", mount: mountAbout },
];
