// The diagnose panel: a note is asked about, answered, explained and judged.
import { Failure, askJson } from "./api.js";
import * as correct from "./correct.js";
import { by, fill, h } from "./dom.js";
import * as keys from "./keys.js";
import { chosenModel, fullName, labelsOf, titled } from "./known.js";
import * as note from "./note.js";
import * as ranking from "./ranking.js";
import * as reasons from "./reasons.js";
import { hush, tell } from "./trouble.js";
import * as verdict from "./verdict.js";
import { duration, nameOf, percent, say, t } from "./words.js";

const LARGE = matchMedia("(min-width: 1500px)"); // room for all of them
const EXPLAINED = 5; // labels that one request explains
let answer = null;
let triage = null;
let selected = 0;
let all = false;
let why = new Map(); // label → what speaks for it; null where nothing can be said
let running = null;

const body = () => by("answer-body");
const label = () => answer.labels[selected];
const model = () => chosenModel();

const draw = () => {
  by("diagnose").classList.toggle("answered", answer !== null);
  if (running && !answer) return fill(body(), h("p", { class: "soft busy" }, t("answer.running")));
  if (!answer) return ranking.empty(body());
  const view = { selected, all: all || LARGE.matches, task: model()?.task, calibrated: model()?.calibrated !== false, onSelect: select, onPreview: preview, onAll: showAll };
  fill(by("answered"), `${answer.model.name}@${answer.model.version} · ${duration(answer.seconds)}`);
  fill(
    body(),
    answer.abstained ? ranking.unsure(answer.reasons) : null,
    ranking.warnings(answer.warnings ?? []),
    triage ? ranking.departments(triage) : null,
    ranking.list(answer, view),
  );
  drawWhy();
};

const mark = (spans = []) => note.read(spans, answer?.unread ?? []);

const drawWhy = () => {
  if (!answer?.labels.length) return reasons.hide();
  const found = why.get(label().label);
  reasons.show(label(), found);
  mark(found?.evidence);
};

const showAll = () => {
  all = true;
  draw();
  by(`label-${selected}`).focus();
};

const select = (place, focus) => {
  selected = place;
  ranking.select(place, focus);
  drawWhy();
  if (!why.has(label().label)) explain([label().label]);
};

const preview = (place) => {
  const shown = place === null ? label() : answer.labels[place];
  mark(why.get(shown.label)?.evidence);
};

const asked = () => {
  const named = model();
  return named && !named.default ? { ...note.request(), model: named.name } : note.request();
};

const withTitles = (known) => (one) => ({ ...one, labels: one.labels.map((name) => titled(name, known)) });

const explain = async (labels) => {
  const mine = answer;
  let explained = [];
  try {
    const json = { ...note.request(), model: fullName(mine.model), labels };
    const asking = askJson("v1/explain", { method: "POST", json, signal: running.signal });
    const [told, known] = await Promise.all([asking, labelsOf(fullName(mine.model))]);
    explained = told.explained.map((one) => ({ ...one, similar: one.similar?.map(withTitles(known)) }));
  } catch (failure) {
    if (failure.status === undefined) throw failure;
  }
  if (answer !== mine) return;
  for (const name of labels) why.set(name, null);
  for (const one of explained) why.set(one.label, one);
  drawWhy();
};

const findDepartments = async () => {
  if (!model()?.departments) return;
  const mine = answer;
  try {
    const json = { ...note.request(), model: fullName(mine.model) };
    const found = await askJson("v1/triage", { method: "POST", json, signal: running.signal });
    if (answer !== mine || found.departments.length === 0) return;
    triage = found;
    const focused = document.activeElement?.id;
    draw();
    if (focused?.startsWith("label-")) by(focused)?.focus();
  } catch (failure) {
    if (failure.status === undefined) throw failure;
  }
};

const forget = () => {
  running?.abort();
  running = null;
  [answer, triage, selected, all, why] = [null, null, 0, false, new Map()];
  verdict.open(null);
  reasons.hide();
  fill(by("answered"));
};

/** Ask about the note. */
const run = async () => {
  if (note.isEmpty()) {
    note.focus();
    return tell(new Failure(422, { code: "no_text" }));
  }
  await verdict.flush();
  hush();
  forget();
  const mine = new AbortController();
  running = mine;
  by("diagnose").setAttribute("aria-busy", "true");
  draw();
  try {
    const found = await askJson("v1/diagnose", { method: "POST", json: asked(), signal: mine.signal });
    if (running === mine) show(found);
  } catch (failure) {
    if (running === mine) running = null;
    draw();
    if (failure.places?.includes("body.record_id")) {
      failure.code = "record";
      by("record").focus();
    }
    tell(failure, run);
  } finally {
    by("diagnose").removeAttribute("aria-busy");
  }
};

/** Where the model is not sure, nothing of it is offered as a decision, nor can be accepted. */
const heed = (found) => (found.abstained
  ? { ...found, labels: found.labels.map((one) => ({ ...one, chosen: false })) } : found);

const show = (found) => {
  answer = heed(found);
  mark();
  draw();
  verdict.open(answer);
  const [first] = answer.labels;
  if (!first) return;
  by("label-0").focus({ preventScroll: true });
  if (matchMedia("(max-width: 900px)").matches) by("answer").scrollIntoView();
  say([answer.abstained ? t("unsure.title") : "", t("answer.said", { label: nameOf(first), share: percent(first.probability) })].join(" "));
  const worth = answer.labels.filter((one, place) => one.chosen || place < 3).slice(0, EXPLAINED);
  explain(worth.map((one) => one.label));
  findDepartments();
};

const edit = () => {
  verdict.flush();
  forget();
  note.edit();
  draw();
  note.focus();
};

const next = () => {
  verdict.flush();
  forget();
  note.clear();
  hush();
  draw();
  note.focus();
};

/** Forget the note and all that was said of it; what waits is sent before. */
export const clear = () => {
  verdict.flush({ keepalive: true });
  forget();
  note.clear();
  draw();
};

const openCorrection = () => {
  if (verdict.isOpen()) correct.open(answer, model()?.task, verdict.change);
};

/** Take another model: what was answered was another's. */
export const useModel = () => {
  if (answer) edit();
  note.useFields(model()?.fields ?? []);
};

export const start = async () => {
  const actions = { accept: verdict.accept, correct: openCorrection, reject: verdict.reject, undo: verdict.undo, next };
  verdict.start(actions);
  const whenAnswered = (action) => () => { if (answer) action(); };
  keys.start({
    a: verdict.accept, c: openCorrection, r: verdict.reject, z: verdict.undo,
    n: whenAnswered(next), e: whenAnswered(edit),
  });
  by("note").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  // Wherever the focus is: an example may have been picked, or the language changed, just before.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    if (by("diagnose").hidden || answer || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    run();
  });
  by("edit").addEventListener("click", edit);
  by("clear").addEventListener("click", next);
  document.addEventListener("example", () => {
    verdict.flush();
    forget();
    draw();
  });
  document.addEventListener("language", draw);
  addEventListener("pagehide", clear);
  await note.start();
  draw();
};
