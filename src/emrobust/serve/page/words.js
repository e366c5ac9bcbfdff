// The page's words in the language that was chosen; numbers and times as that language writes them.
import { by } from "./dom.js";

const LANGUAGES = ["zh", "en"];
const KEPT = "emrobust-language";
let table = {};
let language = "zh";

/** "zh" or "en". */
export const current = () => language;

/** The words for a key, with `{name}` filled in. */
export const t = (key, values = {}) =>
  (table[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** Whether there are words for a key. */
export const has = (key) => key in table;

/** One of {"zh": …, "en": …}: this language, else the other. */
export const either = (words) => (words ? words[language] ?? words.zh ?? words.en ?? "" : "");

/** Words into every element of the document that names a key. */
export const fillWords = (root = document) => {
  const each = (attribute, set) => {
    for (const element of root.querySelectorAll(`[${attribute}]`)) {
      set(element, t(element.getAttribute(attribute)));
    }
  };
  each("data-word", (element, words) => { element.textContent = words; });
  each("data-word-label", (element, words) => element.setAttribute("aria-label", words));
  each("data-word-placeholder", (element, words) => element.setAttribute("placeholder", words));
};

/** Say something to a screen reader. */
export const say = (words) => { by("said").textContent = words; };

const kept = () => {
  try { return localStorage.getItem(KEPT); } catch { return null; }
};

const keep = (chosen) => {
  try { localStorage.setItem(KEPT, chosen); } catch { /* a browser that keeps nothing */ }
};

/** Take a language's words, and tell every part of the page to draw itself anew. */
export const choose = async (chosen) => {
  const answer = await fetch(new URL(`words.${chosen}.json`, import.meta.url));
  table = await answer.json();
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  fillWords();
  document.dispatchEvent(new Event("language"));
};

/** The first of the browser's languages that the page has, else Chinese. */
const spoken = () => navigator.languages.map((one) => one.slice(0, 2)).find((one) => LANGUAGES.includes(one)) ?? "zh";

/** The language of the last visit, else the browser's. */
export const start = () => choose(LANGUAGES.includes(kept()) ? kept() : spoken());

/** Take the other language and remember it. */
export const swap = () => {
  const other = LANGUAGES.find((one) => one !== language);
  keep(other);
  return choose(other);
};

const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

/** A whole number or one with few decimals. */
export const number = (value, digits = 0) =>
  value.toLocaleString(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** The chance that a test finds nothing: what is small is told as less than what can be shown. */
export const chance = (p) => (p < 0.01 ? `p < ${number(0.01, 2)}` : `p ${number(p, 2)}`);

/** A file's size. */
export const bytes = (count) => {
  if (count < 1e6) return `${number(Math.ceil(count / 1000))} KB`;
  return `${number(count / 1e6, 1)} MB`;
};

/** A share: 0.812 → 81%; never 0% or 100% for what is only close to it. */
export const percent = (value, digits = 0) => {
  const least = 1 / 10 ** (digits + 2);
  if (value > 0 && value < least) return `<${number(least * 100, digits)}%`;
  if (value < 1 && value > 1 - least) return `>${number((1 - least) * 100, digits)}%`;
  return `${number(value * 100, digits)}%`;
};

/** Seconds as milliseconds, or as seconds where they are many. */
export const duration = (seconds) =>
  seconds < 1 ? `${number(seconds * 1000, seconds > 0 && seconds < 0.01 ? 1 : 0)} ms` : `${number(seconds, 1)} s`;

/** An ISO time, short. */
export const moment = (iso, style = { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" }) =>
  new Date(iso).toLocaleString(locale(), { hour12: false, ...style });

/** A label by its title in this language, else by its name. */
export const nameOf = (label) => either(label.title) || label.label;
