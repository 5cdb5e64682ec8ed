// Answers of Steelyard (GET /v1/query), kept at the edge until a document they are made from
// changes. Everything else passes through as it is: streams, writes, whatever carries a key.
//
// An answer is kept with its surrogate keys and with the purge count that was read *before* the
// origin was asked. It is served only if none of its keys was purged since, which one Durable
// Object knows for all data centres; so neither a purge nor a race with one leaves a stale
// answer. If that object cannot be asked, the origin is.

import { DurableObject } from "cloudflare:workers";

const QUERY = "/v1/query";
const PURGE = "/__purge";
const HIDDEN = new Set(["/metrics", "/v1/operations"]);
const EVERYTHING = "steelyard"; // a key of every answer
const MAX_PURGE_BYTES = 256 * 1024;
const MAX_KEYS = 1000;
const MAX_REMEMBERED = 10_000;
const KEY = /^[\x21-\x7e]{1,200}$/;

// What an answer is kept with, beside its own headers.
const KEYS = "x-edge-keys";
const COUNT = "x-edge-count";
const KEPT_AT = "x-edge-kept-at";
const CONTROL = "x-edge-cache-control";

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname === PURGE) return purge(request, env);
    if (HIDDEN.has(url.pathname)) return fault(404, "not_found", "the edge does not show this");
    const asks = request.method === "GET" || request.method === "HEAD";
    if (url.pathname === QUERY && asks && !request.headers.has("authorization")) {
      return answer(request, normalised(url), env, context);
    }
    return fromOrigin(request, url, env);
  },
};

/** The count of purges, and when each key was last purged; one object for all data centres. */
export class Purges extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS purged (key TEXT PRIMARY KEY, count INTEGER)");
  }

  /** Return the count now, and whether any of `keys` was purged after `since`. */
  look(keys = [], since = 0) {
    const latest =
      "SELECT coalesce(max(count), 0) AS n FROM purged WHERE key IN (SELECT value FROM json_each(?))";
    const newest = this.sql.exec(latest, JSON.stringify(keys)).one().n;
    return { count: this.#count(), purged: newest > since };
  }

  purge(keys) {
    const count = this.#count() + 1;
    for (const key of keys) this.sql.exec("INSERT OR REPLACE INTO purged VALUES (?, ?)", key, count);
    const { n } = this.sql.exec("SELECT count(*) AS n FROM purged").one();
    if (n > MAX_REMEMBERED) {
      // Bounded: forget which keys, and purge everything instead.
      this.sql.exec("DELETE FROM purged");
      this.sql.exec("INSERT INTO purged VALUES (?, ?)", EVERYTHING, count);
    }
    return count;
  }

  #count() {
    return this.sql.exec("SELECT coalesce(max(count), 0) AS n FROM purged").one().n;
  }
}

function purges(env) {
  return env.PURGES.get(env.PURGES.idFromName("purges"));
}

/** Return the address with its parameters in one form: equal questions are one entry. */
function normalised(url) {
  const plain = new URL(url.pathname, url.origin);
  const pairs = [...url.searchParams].map(([name, value]) =>
    name === "q" ? [name, value.trim().replace(/\s+/gu, " ")] : [name, value],
  );
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)); // stable: repeated names keep order
  for (const [name, value] of pairs) plain.searchParams.append(name, value);
  return plain;
}

async function answer(request, url, env, context) {
  const entry = new Request(url, { method: "GET" });
  const cache = caches.default;
  const reload = /no-cache|no-store/i.test(request.headers.get("cache-control") ?? "");
  let kept = reload ? undefined : await cache.match(entry);
  let known;
  try {
    known = kept
      ? await purges(env).look(kept.headers.get(KEYS).split(" "), Number(kept.headers.get(COUNT)))
      : await purges(env).look();
  } catch (error) {
    console.error("purges_unreachable", error.message);
    return reply(request, await ask(request, url, env), "BYPASS");
  }
  if (kept && !known.purged && age(kept) < lifetime(kept)) return reply(request, kept, "HIT");

  const tag = kept?.headers.get("etag");
  const fresh = await ask(request, url, env, tag);
  const holds = kept && fresh.status === 304;
  const whole = holds ? refreshed(kept, fresh) : fresh;
  const outcome = holds ? "REVALIDATED" : "MISS";
  if (!mayBeKept(whole)) return reply(request, whole, outcome);
  const copy = withHeaders(whole.clone(), known.count);
  const keeping = cache.put(entry, copy);
  context.waitUntil(keeping.catch((error) => console.error("not_kept", error.message)));
  return reply(request, whole, outcome);
}

/** Ask the origin; with the edge's own key, and with the kept tag instead of the browser's. */
function ask(request, url, env, tag) {
  const headers = new Headers(request.headers);
  for (const name of ["if-none-match", "if-modified-since", "range"]) headers.delete(name);
  if (tag) headers.set("if-none-match", tag);
  return fromOrigin(new Request(url, { method: "GET", headers }), url, env);
}

/** Send a request on; its body and the response's stream through, nothing is gathered. */
async function fromOrigin(request, url, env) {
  const there = new URL(url.pathname + url.search, env.ORIGIN);
  const sent = new Request(there, request);
  if (!sent.headers.has("authorization") && env.ORIGIN_KEY) {
    sent.headers.set("authorization", `Bearer ${env.ORIGIN_KEY}`);
  }
  sent.headers.delete("cookie");
  try {
    return await fetch(sent, { redirect: "manual", cf: { cacheTtl: -1 } });
  } catch (error) {
    console.error("origin_unreachable", error.message);
    return fault(502, "upstream", "the origin cannot be reached; try again later");
  }
}

function mayBeKept(response) {
  const control = response.headers.get("cache-control") ?? "";
  return (
    response.status === 200 &&
    /\bpublic\b/i.test(control) &&
    !/no-store|no-cache|private/i.test(control) &&
    sharedAge(control) > 0 &&
    response.headers.has("etag") &&
    response.headers.has("surrogate-key") &&
    !response.headers.has("set-cookie")
  );
}

function sharedAge(control) {
  return Number(/\bs-maxage=(\d+)/i.exec(control)?.[1] ?? 0);
}

function lifetime(kept) {
  return sharedAge(kept.headers.get(CONTROL));
}

function age(kept) {
  return Math.max(0, Math.floor((Date.now() - Number(kept.headers.get(KEPT_AT))) / 1000));
}

/** Return the kept answer with the headers of a 304 that confirms it. */
function refreshed(kept, confirmed) {
  const headers = new Headers(kept.headers);
  for (const name of [KEYS, COUNT, KEPT_AT, CONTROL]) headers.delete(name);
  for (const name of ["cache-control", "surrogate-key", "cache-tag", "vary", "date"]) {
    if (confirmed.headers.has(name)) headers.set(name, confirmed.headers.get(name));
  }
  return new Response(kept.body, { status: 200, headers });
}

function withHeaders(response, count) {
  const headers = new Headers(response.headers);
  const control = headers.get("cache-control");
  headers.set(KEYS, headers.get("surrogate-key"));
  headers.set(COUNT, String(count));
  headers.set(KEPT_AT, String(Date.now()));
  headers.set(CONTROL, control);
  headers.set("cache-control", `public, max-age=${sharedAge(control)}`);
  // Requests with a key never come here, so there is one variant.
  headers.delete("vary");
  return new Response(response.body, { status: 200, headers });
}

/** Return what the caller sees: its own tag checked, our notes removed, the age added. */
function reply(request, response, outcome) {
  const headers = new Headers(response.headers);
  const keptAt = headers.has(KEPT_AT);
  if (keptAt) {
    headers.set("age", String(age(response)));
    headers.set("cache-control", headers.get(CONTROL));
    headers.set("vary", "Authorization");
  }
  const ours = [KEYS, COUNT, KEPT_AT, CONTROL, "surrogate-key", "cache-tag", "x-accel-expires"];
  for (const name of ours) {
    headers.delete(name);
  }
  headers.set("x-edge-cache", outcome);
  const tag = headers.get("etag");
  if (response.status === 200 && tag && matches(request.headers.get("if-none-match"), tag)) {
    headers.delete("content-length");
    response.body?.cancel();
    return new Response(null, { status: 304, headers });
  }
  const body = request.method === "HEAD" ? null : response.body;
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}

/** Compare as If-None-Match does, weakly: compression on the way makes tags weak. */
function matches(sent, tag) {
  if (!sent) return false;
  if (sent.trim() === "*") return true;
  const tags = [...sent.matchAll(/(?:W\/)?("[^"]*")/g)].map((found) => found[1]);
  return tags.includes(tag.replace(/^W\//, ""));
}

async function purge(request, env) {
  if (request.method !== "POST") return fault(405, "method_not_allowed", "POST a purge");
  if (!env.PURGE_TOKEN) {
    return fault(503, "setup", "no purge token is set; run `npx wrangler secret put PURGE_TOKEN`");
  }
  if (!(await equal(request.headers.get("authorization") ?? "", `Bearer ${env.PURGE_TOKEN}`))) {
    return fault(401, "unauthorized", "send `Authorization: Bearer` with the purge token");
  }
  const keys = await readKeys(request);
  if (!keys) {
    return fault(400, "invalid_body", `send {"keys": [...]} with 1 to ${MAX_KEYS} surrogate keys`);
  }
  const count = await purges(env).purge(keys);
  return Response.json({ purged: keys.length, count }, { headers: { "cache-control": "no-store" } });
}

async function readKeys(request) {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_PURGE_BYTES) return null;
  let keys;
  try {
    keys = (await request.json())?.keys;
  } catch {
    return null;
  }
  const fine =
    Array.isArray(keys) &&
    keys.length >= 1 &&
    keys.length <= MAX_KEYS &&
    keys.every((key) => typeof key === "string" && KEY.test(key));
  return fine ? keys : null;
}

/** Compare secrets in a time that tells nothing about them. */
async function equal(a, b) {
  const encoder = new TextEncoder();
  const digest = (text) => crypto.subtle.digest("SHA-256", encoder.encode(text));
  const [left, right] = await Promise.all([digest(a), digest(b)]);
  return crypto.subtle.timingSafeEqual(left, right);
}

function fault(status, code, message) {
  const headers = { "cache-control": "no-store" };
  return Response.json({ error: { code, message, type: code } }, { status, headers });
}
