// Runs the Worker on this machine, in the runtime that Cloudflare uses, until its input ends:
//     npm ci && node dev.mjs '{"ORIGIN": "http://127.0.0.1:8080", "PURGE_TOKEN": "..."}'
// Prints one line of JSON with its address. `"purges": false` leaves the Durable Object out, to
// see what happens when it cannot be reached.

import { Log, LogLevel, Miniflare } from "miniflare";

const given = JSON.parse(process.argv[2] ?? "{}");
const { port = 0, purges = true, ...bindings } = given;
const miniflare = new Miniflare({
  host: "127.0.0.1",
  port,
  log: new Log(LogLevel.ERROR),
  modules: true,
  scriptPath: "worker.js",
  compatibilityDate: "2026-04-01",
  bindings,
  durableObjects: purges ? { PURGES: { className: "Purges", useSQLite: true } } : {},
});
const url = await miniflare.ready;
console.log(JSON.stringify({ url: url.href.replace(/\/$/, "") }));
process.stdin.resume();
process.stdin.on("end", async () => {
  await miniflare.dispose();
  process.exit(0);
});
