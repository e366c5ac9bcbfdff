// The one way to the service. The key stands in a header; what fails becomes a Failure.
// A note travels in a request's body only: never in an address, a log or the browser's storage.
import { visible } from "./dom.js";

const KEPT = "emrobust-key";
const PATIENCE = 30_000;
let held = null;

/**
 * An answer that is none: its status (0: no answer at all), the problem's code, seconds to wait, and
 * the places that are wrong, such as `body.record_id`.
 */
export class Failure extends Error {
  constructor(status, { code = "", detail = "", hint = "", wait = 0, places = [] } = {}) {
    super(`status ${status}`);
    Object.assign(this, { status, code, detail, hint, wait, places });
  }
}

/** The key that signs requests, for this tab only. */
export const key = () => held ?? (held = sessionStorage.getItem(KEPT));

export const signIn = (given) => {
  held = visible(given);
  sessionStorage.setItem(KEPT, held);
};

export const signOut = () => {
  held = null;
  sessionStorage.removeItem(KEPT);
};

/** The headers of a request; a key that cannot stand in one is none of the service's. */
const headersOf = (kind) => {
  if (/[^ -~]/.test(key() ?? "")) throw new Failure(401);
  return {
    Accept: "application/json, text/html, text/csv",
    ...(key() ? { Authorization: `Bearer ${key()}` } : {}),
    ...(kind ? { "Content-Type": kind } : {}),
  };
};

const toFailure = async (answer) => {
  const problem = await answer.json().catch(() => ({}));
  const code = String(problem.type ?? "").replace(/^(urn:emrobust:|about:blank)/, "");
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  const places = (problem.errors ?? []).map(({ where }) => where);
  return new Failure(answer.status, { code, detail: problem.detail, hint: problem.hint, wait, places });
};

const send = async (path, options, patience) => {
  const waiting = new AbortController();
  const over = setTimeout(() => waiting.abort(), patience);
  options.signal?.addEventListener("abort", () => waiting.abort());
  try {
    return await fetch(path, { ...options, signal: waiting.signal, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Failure(0, { code: options.signal?.aborted ? "stopped" : "offline" });
  } finally {
    clearTimeout(over);
  }
};

/**
 * Ask the service; its answer, where there is none an exception.
 * `json` is sent as JSON. Addresses are relative, so the page also works behind a proxy that puts
 * the service under a path.
 */
export const ask = async (path, { method = "GET", json, signal, keepalive, patience = PATIENCE } = {}) => {
  const headers = headersOf(json === undefined ? null : "application/json");
  const body = json === undefined ? undefined : JSON.stringify(json);
  const answer = await send(path, { method, headers, body, signal, keepalive }, patience);
  if (!answer.ok) throw await toFailure(answer);
  return answer;
};

export const askJson = async (path, options) => {
  const answer = await ask(path, options);
  return answer.status === 204 ? {} : answer.json();
};

/**
 * Send a file; `onProgress(bytes)` is told how much of it is sent, which `fetch` does not tell.
 * The answer as JSON, where there is none an exception.
 */
export const upload = (path, file, { signal, onProgress }) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  const fail = (code) => () => reject(new Failure(0, { code }));
  request.open("POST", path);
  for (const [name, value] of Object.entries(headersOf("application/octet-stream"))) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => onProgress(event.loaded);
  request.onerror = fail("offline");
  request.onabort = fail("stopped");
  request.onload = () => {
    const headers = { "Retry-After": request.getResponseHeader("Retry-After") ?? "" };
    const answer = new Response(request.responseText, { status: request.status, headers });
    (answer.ok ? answer.json() : toFailure(answer).then((failure) => Promise.reject(failure))).then(resolve, reject);
  };
  signal.addEventListener("abort", () => request.abort());
  request.send(file);
});
