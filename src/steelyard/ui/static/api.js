// The HTTP API as the page uses it. Every failure becomes an ApiError with a code and advice.

import { authorization, currentKey, obtainKey } from "./auth.js";
import { readEvents } from "./sse.js";

/** `code` is the server's stable code, or `unreachable` (no answer) or `broken_off` (half of one). */
export class ApiError extends Error {
  constructor(code, message, { status = 0, retryAfterS = null } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

const unreachable = () => new ApiError("unreachable", "Steelyard doesn't answer at this address.");

async function send(path, { method, headers, body, signal }) {
  try {
    return await fetch(path, { method, headers: { ...headers, ...authorization() }, body, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
}

async function failure(response) {
  const body = await response.json().catch(() => null);
  const { code, message } = body?.error ?? {};
  const wait = body?.error?.retry_after_s ?? response.headers.get("Retry-After");
  return new ApiError(code ?? `http_${response.status}`, message ?? `The server answered ${response.status} ${response.statusText}.`, {
    status: response.status,
    retryAfterS: wait === null || Number.isNaN(Number(wait)) ? null : Number(wait),
  });
}

/** Send a request; on 401 `unauthorized` ask for a key and send it again. */
async function request(path, { method = "GET", json = null, signal = null, background = false, accept = "application/json" } = {}) {
  const headers = json === null ? { Accept: accept } : { Accept: accept, "Content-Type": "application/json" };
  const body = json === null ? undefined : JSON.stringify(json);
  for (;;) {
    const used = currentKey();
    const response = await send(path, { method, headers, body, signal });
    if (response.ok) return response;
    const error = await failure(response);
    if (error.status !== 401 || error.code !== "unauthorized" || !(await obtainKey(used, { background }))) throw error;
  }
}

async function json(path, options) {
  const response = await request(path, options);
  if (response.status === 204) return {};
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("broken_off", "The server's answer arrived incomplete.");
  }
}

function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return query.size ? `${path}?${query}` : path;
}

const documentPath = (id, collection) => withQuery(`/v1/documents/${encodeURIComponent(id)}`, { collection });

export const getStatus = (options) => json("/v1/status", options);
export const getOperations = (seconds, options) => json(withQuery("/v1/operations", { window_s: seconds }), options);
export const listDocuments = (values, options) => json(withQuery("/v1/documents", values), options);
export const getDocument = (id, collection, options) => json(documentPath(id, collection), options);
export const deleteDocument = (id, collection) => json(documentPath(id, collection), { method: "DELETE" });
export const sendFeedback = (feedback) => json("/v1/feedback", { method: "POST", json: feedback });

/** Yield the events of a streamed answer as `{event, data}`; it always ends in `done` or throws. */
export async function* streamAnswer(query, signal) {
  const response = await request("/v1/query", { method: "POST", json: { ...query, stream: true }, signal, accept: "text/event-stream" });
  try {
    for await (const { event, data } of readEvents(response.body)) {
      const value = JSON.parse(data);
      if (event === "error") throw new ApiError(value.code ?? "internal", value.message ?? "The answer failed.", { retryAfterS: value.retry_after_s ?? null });
      yield { event, data: value };
      if (event === "done") return;
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
  }
  if (signal.aborted) throw new DOMException("stopped", "AbortError");
  throw new ApiError("broken_off", "The connection broke off before the answer was finished.");
}

/** Upload one file; `onProgress` gets the fraction sent. XHR, because fetch tells no progress. */
export async function uploadFile({ file, name, collection, signal, onProgress }) {
  for (;;) {
    const used = currentKey();
    const { status, body } = await post(file, name, collection, signal, onProgress);
    if (status >= 200 && status < 300) return body;
    const error = new ApiError(body?.error?.code ?? `http_${status}`, body?.error?.message ?? `The server answered ${status}.`, { status });
    if (status !== 401 || error.code !== "unauthorized" || !(await obtainKey(used, { background: false }))) throw error;
  }
}

function post(file, name, collection, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    if (collection) form.append("collection", collection);
    form.append("files", file, name);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", "/v1/documents");
    for (const [header, value] of Object.entries(authorization())) xhr.setRequestHeader(header, value);
    xhr.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    xhr.addEventListener("load", () => resolve({ status: xhr.status, body: parsed(xhr.responseText) }));
    xhr.addEventListener("error", () => reject(unreachable()));
    xhr.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => xhr.abort(), { once: true });
    xhr.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Say what a person can do about an error. */
export function advice(error) {
  if (error.code === "unreachable") return "Check that `steelyard serve` is still running and that this computer reaches it, then try again.";
  if (error.code === "broken_off") return "What had arrived is kept. Try again for the whole answer.";
  if (error.code === "overloaded") return error.retryAfterS ? `It is busy. Try again in ${Math.ceil(error.retryAfterS)} s.` : "It is busy. Try again in a moment.";
  if (error.code === "upstream") return "The language model behind Steelyard failed. Try again; if it keeps failing, check its endpoint.";
  if (error.code === "unauthorized") return "A valid API key is needed. Try again to enter one.";
  if (error.status >= 400 && error.status < 500) return "Change the request and try again.";
  return "Try again; if it keeps failing, the server's log says why.";
}

const evalPath = (id, rest = "") => `/v1/evals/${encodeURIComponent(id)}${rest}`;
const setPath = (name, rest) => `/v1/question-sets/${encodeURIComponent(name)}/${rest}`;

export const listRuns = (options) => json("/v1/evals", options);
export const getRun = (id) => json(evalPath(id));
export const compareArms = (id, values) => json(withQuery(evalPath(id, "/comparison"), values));
export const listItems = (id, values) => json(withQuery(evalPath(id, "/items"), values));
export const getItem = (id, question) => json(evalPath(id, `/items/${encodeURIComponent(question)}`));
export const reportAddress = (id) => evalPath(id, "/report");
export const listSets = (options) => json("/v1/question-sets", options);
export const getQueue = (name, values) => json(withQuery(setPath(name, "queue"), values));
export const sendDecision = (name, decision) => json(setPath(name, "decisions"), { method: "POST", json: decision });

const tuningPath = (id, rest = "") => `/v1/tune/runs/${encodeURIComponent(id)}${rest}`;

export const listTraining = (options) => json("/v1/tune/runs", options);
export const getTraining = (id) => json(tuningPath(id));
export const getTrainingMetrics = (id, after) => json(withQuery(tuningPath(id, "/metrics"), { after }));
export const cancelTraining = (id) => json(tuningPath(id, "/cancel"), { method: "POST" });

export const getRegistry = (options) => json("/v1/registry", options);
export const getRegistryHistory = (limit, options) => json(withQuery("/v1/registry/history", { limit }), options);
export const rollBack = (kind, why) => json("/v1/registry/rollback", { method: "POST", json: { kind, why } });

export const getScenarios = () => json("/v1/advise/scenarios");
export const weighScenario = (body, options) => json("/v1/advise", { ...options, method: "POST", json: body });
export const saveCosts = async (body) => (await request("/v1/advise/page", { method: "POST", json: body, accept: "text/html" })).blob();

/** Save a run's report as a file: where a key is needed, a link alone cannot fetch it. */
export async function saveReport(id) {
  const response = await request(reportAddress(id), { accept: "text/html" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `${id}.html`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
