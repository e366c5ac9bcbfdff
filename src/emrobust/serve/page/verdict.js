// What the doctor thinks of an answer. A verdict waits some seconds before it is sent, so that a
// wrong key costs nothing; the next note, or leaving the page, sends it at once. Where the sign-in
// was over by then, it is kept in this tab, without the note, until the same person is back.
import { askJson } from "./api.js";
import { by, fill, h } from "./dom.js";
import { caller } from "./known.js";
import { inform, tell } from "./trouble.js";
import { nameOf, say, t } from "./words.js";

const GRACE = 5;
const KEPT = "emrobust-verdicts";
let answer = null;
let state = "none"; // none, open, waiting, sending, sent
let given = null;
let left = 0;
let clock = 0;
let actions = {};

/** Whether a verdict may be given now. */
export const isOpen = () => state === "open";

/** Whether a verdict waits to be sent. */
export const isWaiting = () => state === "waiting";

const chosen = () => answer.labels.filter((label) => label.chosen);

/** Whether there is something to accept. */
export const canAccept = () => isOpen() && chosen().length > 0;

const button = (action, letter, attributes = {}) => h(
  "button",
  { type: "button", onclick: () => actions[action](), "aria-keyshortcuts": letter, ...attributes },
  h("span", {}, t(`verdict.${action}`)), " ", h("kbd", {}, letter),
);

const summary = () => {
  const labels = given.verdict === "accepted" ? chosen() : given.shown;
  const names = labels.map(nameOf).join(t("comma"));
  return t(`verdict.${given.verdict}`, { names });
};

const askFor = () => [
  button("accept", "A", { class: "yes main", disabled: !canAccept(), title: canAccept() ? null : t("verdict.no_choice") }),
  button("correct", "C"),
  button("reject", "R", { class: "no" }),
];

const told = () => h("p", { class: `told ${state}` }, h("b", {}, summary()), " ",
  h("span", { class: "soft", id: "verdict-left" }, state === "waiting" ? t("verdict.waiting", { seconds: left }) : t(`verdict.${state}`)));

const draw = () => {
  by("verdict").hidden = state === "none";
  if (state === "none") return;
  fill(by("verdict"), state === "open" ? askFor() : told(),
    state === "waiting" ? button("undo", "Z") : null, button("next", "N", { class: "next" }));
};

const tick = () => {
  left -= 1;
  if (left <= 0) flush();
  else fill(by("verdict-left"), t("verdict.waiting", { seconds: left }));
};

const give = (verdict, shown = []) => {
  given = { verdict, shown, prediction: answer.id };
  state = "waiting";
  left = GRACE;
  clock = setInterval(tick, 1000);
  draw();
  say(`${summary()} ${t("verdict.undo_how", { seconds: GRACE })}`);
  by("verdict").querySelector("button").focus();
};

export const accept = () => { if (canAccept()) give("accepted"); };
export const reject = () => { if (isOpen()) give("rejected"); };

const isChosen = (labels) => labels.length === chosen().length &&
  labels.every((label) => chosen().some((one) => one.label === label.label));

/** These labels are right instead; where they are the chosen ones, nothing was changed. */
export const change = (labels) => {
  if (!isOpen()) return;
  if (isChosen(labels)) accept();
  else give("changed", labels);
};

/** Take back what was not sent yet. */
export const undo = () => {
  if (state !== "waiting") return;
  clearInterval(clock);
  state = "open";
  say(t("verdict.undone"));
  draw();
  by("verdict").querySelector("button:not(:disabled)").focus();
};

const toJson = ({ prediction, verdict, shown }) =>
  ({ prediction, verdict, ...(verdict === "changed" ? { labels: shown.map((label) => label.label) } : {}) });

const post = (json, options) => askJson("v1/feedback", { method: "POST", json, ...options });

const kept = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");

const keep = (verdicts) => {
  if (verdicts.length) sessionStorage.setItem(KEPT, JSON.stringify(verdicts));
  else sessionStorage.removeItem(KEPT);
};

/** Send what this person gave when the sign-in was over already; what others gave waits for them. */
export const sendKept = async () => {
  const mine = kept().filter(({ from }) => from === caller().name);
  try {
    for (const { json } of mine) {
      await post(json);
      keep(kept().filter((other) => other.json.prediction !== json.prediction));
    }
    if (mine.length) inform(t("verdict.late"));
  } catch (failure) {
    tell(failure, sendKept);
  }
};

/** Send what waits; afterwards nothing waits. */
export const flush = async (options = {}) => {
  if (state !== "waiting") return;
  clearInterval(clock);
  const verdict = given;
  const json = toJson(verdict);
  const from = caller().name;
  state = "sending";
  draw();
  try {
    await post(json, options);
    finish(verdict, "sent");
  } catch (failure) {
    finish(verdict, "open");
    if (failure.status === 401) {
      keep([...kept(), { from, json }]);
      failure.code = "verdict_kept";
    }
    tell(failure, () => post(json).then(() => finish(verdict, "sent"), tell));
  }
};

const finish = (verdict, next) => {
  if (answer?.id !== verdict.prediction) return; // another note is on the page already
  given = verdict;
  state = next;
  if (next === "sent") say(t("verdict.sent"));
  draw();
};

/** Ask for a verdict on this answer; without one there is nothing to judge. */
export const open = (next) => {
  answer = next;
  given = null;
  state = next ? "open" : "none";
  draw();
};

/** `doing`: what `accept`, `correct`, `reject`, `undo` and `next` do when their button is pressed. */
export const start = (doing) => {
  actions = doing;
  document.addEventListener("language", draw);
};
