// The page: who is asked in, which panel is shown, which language is spoken.
import * as account from "./account.js";
import { key, signIn, signOut } from "./api.js";
import * as batch from "./batch.js";
import * as diagnose from "./diagnose.js";
import { by, fill, h } from "./dom.js";
import * as known from "./known.js";
import * as models from "./models.js";
import * as monitor from "./monitor.js";
import { focus as focusNote } from "./note.js";
import { hush, tell } from "./trouble.js";
import { sendKept } from "./verdict.js";
import * as words from "./words.js";

const PANELS = { diagnose: null, batch, monitor, models };
const ROLES = { monitor: "reviewer" };
let shown = "diagnose";

const tabs = () => [...by("tabs").children].filter((tab) => !tab.hidden);
const nameOf = (tab) => tab.getAttribute("aria-controls");

/** Show a panel; those that watch something are told when they are seen and when not. */
const show = (name) => {
  if (shown !== name) PANELS[shown]?.leave();
  shown = name;
  for (const tab of by("tabs").children) {
    const here = nameOf(tab) === name;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    by(nameOf(tab)).hidden = !here;
  }
  by("keys").hidden = name !== "diagnose";
  hush();
  PANELS[name]?.enter();
};

const moveTab = (event) => {
  const change = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!change) return;
  event.preventDefault();
  const all = tabs();
  const next = all[(all.findIndex((tab) => nameOf(tab) === shown) + change + all.length) % all.length];
  show(nameOf(next));
  next.focus();
};

const keyInAddress = () => new URLSearchParams(location.hash.slice(1)).get("key");

/** A key in the address's fragment signs in; it is taken out of the address before anything else. */
const keyFromAddress = () => {
  const found = keyInAddress();
  if (!found) return false;
  history.replaceState(null, "", location.pathname + location.search);
  signIn(found);
  return true;
};

const drawCaller = () => {
  const me = known.caller();
  fill(by("caller"), me ? `${me.name} · ${words.t(`role.${me.role}`)}` : "");
};

const drawModels = () => {
  const active = known.activeModels();
  by("model-pick").hidden = active.length < 2;
  const now = known.chosenModel();
  fill(by("model"), active.map((model) => h("option", { value: model.name, selected: model === now }, model.name)));
};

/** The hospital's account where the service knows one, and the key. */
const drawSignIn = async () => {
  const hasAccount = (await account.offered()) !== null;
  by("account-part").hidden = !hasAccount;
  by("sign-submit").classList.toggle("main", !hasAccount);
  by("sign-why").hidden = hasAccount;
  const typing = by("key").value !== "" || (document.activeElement !== by("key") && document.activeElement !== document.body);
  if (hasAccount && !typing) by("account").focus();
};

const signInByAccount = async () => {
  hush();
  try {
    await account.begin();
  } catch (failure) {
    tell(failure, signInByAccount);
  }
};

/** Come back from the hospital's sign-in, where the browser was there. */
const comeBack = async () => {
  try {
    return await account.finish(signIn);
  } catch (failure) {
    lock();
    tell(failure, signInByAccount);
    return false;
  }
};

/** Ask for the key; what is on the page belongs to somebody who is no longer signed in. */
const lock = () => {
  diagnose.clear(); // sends a verdict that waits, while there is a key
  account.forget();
  signOut();
  batch.forget();
  known.leave();
  for (const panel of Object.keys(PANELS)) by(panel).hidden = true;
  PANELS[shown]?.leave();
  for (const open of document.querySelectorAll("dialog[open]")) open.close();
  for (const id of ["tabs", "keys", "sign-out"]) by(id).hidden = true;
  by("sign-in").hidden = false;
  drawCaller();
  by("key").focus();
  drawSignIn();
};

const signOutByHand = () => {
  account.askAgain();
  lock();
};

const enter = async () => {
  try {
    await known.meet();
  } catch (failure) {
    lock();
    return tell(failure, failure.status === 401 ? undefined : enter);
  }
  by("sign-in").hidden = true;
  for (const id of ["tabs", "sign-out"]) by(id).hidden = false;
  for (const tab of by("tabs").children) {
    tab.hidden = !known.may(ROLES[nameOf(tab)] ?? "clinician");
  }
  drawCaller();
  drawModels();
  diagnose.useModel();
  show("diagnose");
  focusNote();
  sendKept();
};

/** Another system opens the page anew in this window, perhaps for somebody else: who was here goes first. */
const changeKey = () => {
  const found = keyInAddress();
  const other = found !== key();
  if (found && other) lock();
  if (keyFromAddress() && other) enter();
};

const submitKey = (event) => {
  event.preventDefault();
  hush();
  signIn(by("key").value);
  by("key").value = "";
  enter();
};

const listen = () => {
  by("tabs").addEventListener("keydown", moveTab);
  for (const tab of by("tabs").children) tab.addEventListener("click", () => show(nameOf(tab)));
  by("language").addEventListener("click", () => { words.swap().catch(tell); });
  by("sign-form").addEventListener("submit", submitKey);
  by("sign-out").addEventListener("click", signOutByHand);
  by("account").addEventListener("click", signInByAccount);
  by("model").addEventListener("change", () => { known.choose(by("model").value); diagnose.useModel(); });
  addEventListener("hashchange", changeKey);
  document.addEventListener("locked", lock);
  document.addEventListener("language", drawCaller);
  document.addEventListener("models", () => { drawModels(); diagnose.useModel(); });
};

keyFromAddress();
await words.start();
listen();
await diagnose.start();
await comeBack();
if (key()) await enter();
else if (by("sign-in").hidden) lock();
