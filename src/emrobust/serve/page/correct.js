// Correcting: the right labels out of all that the model knows, found by title or code.
import { by, fill, h } from "./dom.js";
import { fullName, labelsOf } from "./known.js";
import { codes } from "./ranking.js";
import { tell } from "./trouble.js";
import { nameOf, say, t } from "./words.js";

const MOST = 8;
let view = null; // {labels, chips, found, active, task, onDone}

const texts = (label) => [label.label, label.title?.zh, label.title?.en, ...(label.codes ?? [])]
  .filter(Boolean).map((text) => text.toLowerCase());

/** 0 begins with the query, 1 holds it, 2 holds all of its words, null: does not fit. */
const fit = (label, query) => {
  const of = texts(label);
  if (of.some((text) => text.startsWith(query))) return 0;
  if (of.some((text) => text.includes(query))) return 1;
  const words = query.split(/\s+/);
  return words.every((word) => of.some((text) => text.includes(word))) ? 2 : null;
};

/** The labels that a query finds, best first. */
const search = (labels, query) => labels
  .map((label) => [fit(label, query), label])
  .filter(([rank]) => rank !== null)
  .sort(([a], [b]) => a - b)
  .map(([, label]) => label);

const isPicked = (label) => view.chips.some((chip) => chip.label === label.label);

const find = () => {
  const query = by("correct-query").value.trim().toLowerCase();
  const pool = query ? search(view.labels, query) : view.suggested;
  view.isThere = pool.some(isPicked);
  view.found = pool.filter((label) => !isPicked(label)).slice(0, MOST);
  view.active = view.found.length ? 0 : -1;
  drawFound();
  if (query) say(t("correct.found", { count: view.found.length }));
};

const pick = (label) => {
  view.chips = view.task === "multi" ? [...view.chips, label] : [label];
  by("correct-query").value = "";
  drawChips();
  find();
  by("correct-query").focus();
};

const drop = (label) => {
  view.chips = view.chips.filter((chip) => chip.label !== label.label);
  drawChips();
  find();
  by("correct-query").focus();
};

const drawFound = () => {
  const input = by("correct-query");
  fill(by("correct-found"), view.found.map((label, place) => h(
    "li",
    {
      role: "option", id: `found-${place}`, "aria-selected": String(place === view.active),
      onmousedown: (event) => { event.preventDefault(); pick(label); },
    },
    h("span", {}, nameOf(label)), h("small", {}, codes(label)),
  )), view.found.length ? null : h("li", { class: "soft", role: "presentation" }, t(view.isThere ? "correct.already" : "correct.nothing")));
  if (view.active >= 0) input.setAttribute("aria-activedescendant", `found-${view.active}`);
  else input.removeAttribute("aria-activedescendant");
};

const drawChips = () => {
  fill(by("correct-chips"), view.chips.length === 0 ? h("li", { class: "soft" }, t("correct.none")) : null,
    view.chips.map((label) => h("li", {}, h("span", {}, nameOf(label)),
      h("button", { type: "button", "aria-label": t("correct.drop", { label: nameOf(label) }), onclick: () => drop(label) }, "×"))));
  by("correct-done").disabled = view.chips.length === 0;
};

const done = () => {
  if (view.chips.length === 0) return;
  by("correct").close();
  view.onDone(view.chips);
};

const keys = (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) done();
  else if (event.key === "Enter" && view.active >= 0) pick(view.found[view.active]);
  else if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "Backspace" && event.target.value === "" && view.chips.length) drop(view.chips.at(-1));
  else return;
  event.preventDefault();
};

const step = (change) => {
  if (view.found.length === 0) return;
  view.active = (view.active + change + view.found.length) % view.found.length;
  drawFound();
};

const draw = () => fill(
  by("correct"),
  h("h2", { id: "correct-title" }, t("correct.title")),
  h("p", { class: "soft" }, t(view.task === "multi" ? "correct.how" : "correct.how_one")),
  h("ul", { id: "correct-chips", class: "chips", "aria-label": t("correct.chips") }),
  h("label", { for: "correct-query" }, t("correct.query")),
  h("input", {
    id: "correct-query", role: "combobox", "aria-expanded": "true", "aria-controls": "correct-found",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", oninput: find, onkeydown: keys,
  }),
  h("ul", { id: "correct-found", class: "found", role: "listbox", "aria-label": t("correct.list") }),
  h("div", { class: "row foot" },
    h("button", { type: "button", onclick: () => by("correct").close() }, t("correct.cancel"), " ", h("kbd", {}, "Esc")),
    h("button", { type: "button", class: "main", id: "correct-done", onclick: done }, t("correct.done"), " ", h("kbd", {}, "Ctrl ⏎"))),
);

/** Open the dialog on an answer; `onDone(labels)` is told what is right instead. */
export const open = async (answer, task, onDone) => {
  let labels;
  try {
    labels = await labelsOf(fullName(answer.model));
  } catch (failure) {
    return tell(failure);
  }
  const chips = answer.labels.filter((label) => label.chosen);
  view = { labels, suggested: answer.labels, chips, found: [], active: -1, task, onDone };
  draw();
  drawChips();
  find();
  by("correct").showModal();
  by("correct-query").focus();
};
