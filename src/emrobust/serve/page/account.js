// Signing in with the hospital's account: OpenID Connect, authorization code flow with PKCE, as a
// public client (RFC 6749, 7636, 9207; OpenID Connect Core 3.1). The browser goes to the issuer and
// comes back with a code; only who began can exchange it, and no secret is needed. What has to
// outlive that way waits in this tab's storage and is taken out on the way back.
import { Failure } from "./api.js";

const KEPT = "emrobust-sign-in";
const EARLY = 30; // seconds before a token's end to ask for the next one
const LEEWAY = 60; // seconds that two clocks may differ
let offer = null; // {issuer, client_id, scope}; {} where there is only the key
let again = false; // somebody signed out: ask who comes next, since a ward's screen is shared
let clock = 0;
let visit = 0; // whose renewals count: those of who signed in last, and has not left

const fail = (code) => { throw new Failure(0, { code }); };

/** What the service says of the hospital's sign-in: null where it has none. */
export const offered = async () => {
  if (offer === null) {
    const answer = await fetch("page/sign-in", { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return null; // asked again next time
    offer = await answer.json();
  }
  return offer.issuer ? offer : null;
};

const here = () => location.origin + location.pathname;

const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const draw = () => toText(crypto.getRandomValues(new Uint8Array(32)));

const digest = async (text) => toText(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

const isOf = (address, issuer) => new URL(address).origin === new URL(issuer).origin;

/** Where the issuer says that its doors are; it may only say so for itself, at its own origin. */
const discover = async ({ issuer }) => {
  const answer = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { credentials: "omit" }).catch(() => null);
  const found = answer?.ok ? await answer.json().catch(() => null) : null;
  const doors = [found?.authorization_endpoint, found?.token_endpoint];
  if (!doors.every(Boolean)) fail("account_away");
  if (found.issuer !== issuer || !doors.every((door) => isOf(door, issuer))) fail("account_wrong");
  return found;
};

/** Go to the issuer; the page is left. */
export const begin = async () => {
  if (!globalThis.crypto?.subtle) fail("account_insecure");
  const asked = await offered();
  if (!asked) fail("account_away");
  const doors = await discover(asked);
  const held = { state: draw(), nonce: draw(), verifier: draw() };
  sessionStorage.setItem(KEPT, JSON.stringify(held));
  const query = new URLSearchParams({
    response_type: "code", client_id: asked.client_id, redirect_uri: here(), scope: asked.scope,
    state: held.state, nonce: held.nonce, code_challenge: await digest(held.verifier), code_challenge_method: "S256",
    ...(again ? { prompt: "login" } : {}),
  });
  const door = new URL(doors.authorization_endpoint);
  for (const [name, value] of query) door.searchParams.set(name, value);
  location.assign(door);
};

const exchange = async (asked, form) => {
  const doors = await discover(asked);
  const body = new URLSearchParams({ client_id: asked.client_id, ...form });
  const answer = await fetch(doors.token_endpoint, { method: "POST", body, credentials: "omit", cache: "no-store" }).catch(() => null);
  if (!answer) fail("account_away");
  const found = answer.ok ? await answer.json().catch(() => null) : null;
  if (!found?.access_token) fail("account_refused");
  return found;
};

/** What an ID token says. It came from the issuer itself, so its signature adds nothing (Core 3.1.3.7). */
const claimsOf = (token) => {
  try {
    const middle = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(middle), (letter) => letter.charCodeAt(0))));
  } catch {
    return {};
  }
};

const check = (claims, asked, held) => {
  const isMine = [claims.aud].flat().includes(asked.client_id) && (claims.azp ?? asked.client_id) === asked.client_id;
  const isNow = claims.exp > Date.now() / 1000 - LEEWAY;
  if (claims.iss !== asked.issuer || !isMine || !isNow || claims.nonce !== held.nonce) fail("account_wrong");
};

/** Ask for the next token before this one ends, so that nobody loses a note; held in memory alone. */
const renewLater = (asked, found, onToken) => {
  clearTimeout(clock);
  if (!found.refresh_token || !(found.expires_in > EARLY)) return;
  const mine = visit;
  const renew = async () => {
    try {
      const next = await exchange(asked, { grant_type: "refresh_token", refresh_token: found.refresh_token });
      if (mine !== visit) return;
      onToken(next.access_token);
      renewLater(asked, { refresh_token: found.refresh_token, ...next }, onToken);
    } catch (failure) {
      if (failure.status === undefined) throw failure; // else the next request says that it is over
    }
  };
  clock = setTimeout(renew, (found.expires_in - EARLY) * 1000);
};

/** What waited for the way back; it is taken once. */
const takeHeld = () => {
  const held = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return held && JSON.parse(held);
};

/**
 * Coming back from the issuer: `onToken` is told each token. Whether the page did come back; a Failure
 * where nobody was signed in. The code leaves the address before anything else.
 */
export const finish = async (onToken) => {
  const said = new URLSearchParams(location.search);
  if (!said.has("state") || !(said.has("code") || said.has("error"))) return false;
  history.replaceState(null, "", here());
  const held = takeHeld();
  if (!held || held.state !== said.get("state")) fail("account_stale");
  const asked = await offered();
  if (!asked) fail("account_away");
  if (said.has("iss") && said.get("iss") !== asked.issuer) fail("account_wrong");
  if (said.has("error")) fail("account_refused");
  const found = await exchange(asked, {
    grant_type: "authorization_code", code: said.get("code"), redirect_uri: here(), code_verifier: held.verifier,
  });
  check(claimsOf(found.id_token ?? ""), asked, held);
  onToken(found.access_token);
  renewLater(asked, found, onToken);
  return true;
};

/** Forget what is known of who was here. */
export const forget = () => {
  clearTimeout(clock);
  visit += 1;
};

/** Let the issuer ask for a name again, even if it still knows this browser. */
export const askAgain = () => { again = true; };
