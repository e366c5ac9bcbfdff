// What went wrong, in plain words with what to do; one place on the page, read out at once.
import { by, fill, h } from "./dom.js";
import { has, t } from "./words.js";

let shown = null; // {failure, again} or {words}

const keyOf = (failure) => {
  const named = `problem.${failure.code}`;
  if (failure.code && has(named)) return named;
  const numbered = `problem.${failure.status}`;
  if (has(numbered)) return numbered;
  return failure.status >= 500 ? "problem.500" : "problem.other";
};

/** What to tell somebody about a failure. */
const wordsOf = (failure) => {
  const wait = failure.wait > 0 ? t("problem.wait", { seconds: failure.wait }) : "";
  return [t(keyOf(failure), { status: failure.status, places: failure.places.join(t("comma")) }), wait].filter(Boolean).join(" ");
};

/** Failures of one kind each, whose own words say all; a table has many ways to be wrong. */
const isWorded = ({ code, status }) => [0, 401, 403, 413, 415, 429].includes(status) || status >= 500 ||
  (code !== "table" && has(`problem.${code}`));

/** Whether the same request may go well later: not where something is wrong with it. */
const isPassing = ({ status }) => [0, 408, 409, 429].includes(status) || status >= 500;

const sentence = (text) => (/[.?!:]$/.test(text) ? text : `${text}.`);

/** What the service says of it, in English; it never holds a note's text. */
const detailOf = (failure) => {
  const said = [failure.detail, failure.hint].filter(Boolean).map(sentence).join(" ");
  return said === "" || isWorded(failure) ? null : h("small", {}, t("problem.detail"), " ", h("span", { lang: "en" }, said));
};

/** How much of the screen stays covered: what is scrolled, and the desk, begin below it. */
const measure = () => document.documentElement.style.setProperty("--above", `${by("above").offsetHeight}px`);

const draw = () => {
  by("trouble").hidden = shown === null;
  by("trouble").classList.toggle("good", Boolean(shown?.words));
  fill(by("trouble"), shown === null ? null : [
    h("p", {}, shown.words ?? [wordsOf(shown.failure), detailOf(shown.failure)]),
    shown.again ? h("button", { type: "button", onclick: shown.again }, t("problem.again")) : null,
    h("button", { type: "button", "aria-label": t("problem.close"), onclick: hush }, "×"),
  ]);
  measure();
};

/** Take the message away. */
export const hush = () => {
  shown = null;
  draw();
};

/** Say in the same place that something went well after all. */
export const inform = (words) => {
  shown = { words };
  draw();
};

/**
 * Tell of a failure. What is no Failure is a mistake of this page and goes on to the console.
 * `again` is what a button tries once more.
 */
export const tell = (failure, again) => {
  if (failure.status === undefined) throw failure;
  if (failure.code === "stopped") return;
  if (failure.status === 401) {
    document.dispatchEvent(new Event("locked"));
  }
  shown = { failure, again: again && isPassing(failure) && (() => { hush(); again(); }) };
  draw();
};

document.addEventListener("language", draw);
addEventListener("resize", measure);
