// The ranked diagnoses: a list of options with calibrated bars, and the line that a set draws.
import { by, fill, h } from "./dom.js";
import { nameOf, percent, t } from "./words.js";

const FEW = 5;
const MANY = 8;
const CODES = 2;

/** The most general codes, which are the shortest, and how many more there are. */
export const codes = (label) => {
  const sorted = [...(label.codes ?? [])].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const more = sorted.length - CODES;
  return sorted.slice(0, CODES).join(" ") + (more > 0 ? ` +${more}` : "");
};

const bar = (probability) => {
  const filled = h("i");
  filled.style.inlineSize = `${(probability * 100).toFixed(1)}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, filled);
};

const row = (label, place, { selected, onSelect, onPreview }) => h(
  "li",
  {
    role: "option", id: `label-${place}`,
    "aria-selected": String(place === selected), tabindex: place === selected ? "0" : "-1",
    class: [label.chosen ? "chosen" : "", label.in_set ? "in" : ""].join(" ").trim() || null,
    onclick: () => onSelect(place, true),
    onmouseenter: () => onPreview(place),
    onmouseleave: () => onPreview(null),
  },
  h("span", { class: "rank" }, String(place + 1)),
  h("span", { class: "what" }, h("b", {}, nameOf(label)), h("small", { title: (label.codes ?? []).join(" ") }, codes(label))),
  h("span", { class: "tick" }, label.chosen ? t("answer.chosen_mark") : ""),
  bar(label.probability),
  h("span", { class: "percent" }, percent(label.probability), label.in_set ? h("span", { class: "unseen" }, ` ${t("answer.in_set")}`) : null),
);

/** The place below which the set ends; 0 where its members do not stand together on top. */
const edgeOf = (labels) => {
  const first = labels.findIndex((label) => !label.in_set);
  const end = first < 0 ? labels.length : first;
  return labels.slice(end).some((label) => label.in_set) ? 0 : end;
};

const promise = (answer, task, shown) => {
  const { set } = answer;
  const count = set.labels.length;
  const values = { share: Math.round(set.coverage * 100), count };
  const key = count > shown ? "answer.set_wide" : `answer.set_${task === "multi" ? "multi" : "single"}`;
  return h("li", { role: "presentation", class: "edge" }, h("span", {}, t(key, values)));
};

const moves = { ArrowDown: 1, ArrowUp: -1 };

const move = (event, labels, { selected, onSelect }) => {
  const target = event.key in moves ? selected + moves[event.key]
    : event.key === "Home" ? 0 : event.key === "End" ? labels.length - 1 : null;
  if (target === null) return;
  event.preventDefault();
  onSelect(Math.min(Math.max(target, 0), labels.length - 1), true);
};

/** Few, but whatever the model chose and the end of a small set. */
const countShown = ({ labels, set }) => {
  const chosen = labels.reduce((last, label, place) => (label.chosen ? place + 1 : last), 0);
  const edge = set && set.labels.length < MANY ? edgeOf(labels) + 1 : 0;
  return Math.min(Math.max(FEW, Math.min(chosen, MANY), edge), labels.length);
};

/** The list; `view` has `selected`, `all`, `task`, `calibrated`, `onSelect(place, focus)`, `onPreview(place)`, `onAll`. */
export const list = (answer, view) => {
  const most = view.all ? answer.labels.length : countShown(answer);
  const labels = answer.labels.slice(0, most);
  const rows = labels.map((label, place) => row(label, place, view));
  const edge = answer.set ? edgeOf(labels) : 0;
  if (edge > 0) rows.splice(edge, 0, promise(answer, view.task, labels.length));
  const box = h("ol", {
    role: "listbox", class: "ranking", "aria-label": t("answer.list"), id: "ranking",
    onkeydown: (event) => move(event, labels, view),
  }, rows);
  const rest = answer.labels.length - most;
  return [box, h("div", { class: "under" },
    rest > 0 ? h("button", { type: "button", class: "plain more", onclick: view.onAll }, t("answer.more", { count: rest })) : null,
    view.calibrated ? h("span", { class: "soft fine" }, t("answer.calibrated")) : null)];
};

/** Move the selection without drawing the list anew, so that the focus stays. */
export const select = (place, focus) => {
  for (const option of by("ranking").querySelectorAll("[role=option]")) {
    const here = option.id === `label-${place}`;
    option.setAttribute("aria-selected", String(here));
    option.tabIndex = here ? 0 : -1;
    if (here && focus) option.focus({ preventScroll: false });
  }
};

/** The line about departments, where the package knows them. */
export const departments = (triage) => h("p", { class: "departments" },
  h("span", { class: "soft" }, t("triage.title")),
  triage.departments.slice(0, 3).map((one, place) => h("span", { class: place === 0 ? "first" : "" },
    one.department, " ", h("small", {}, percent(one.probability)))));

/** "I am not sure", with the reason and what helps. */
export const unsure = (reasons) => h("div", { class: "unsure", role: "note" },
  h("b", {}, t("unsure.title")),
  h("span", {}, [...new Set(reasons.map((reason) => t(`reason.${reason}`)))].join(" ")),
  h("span", { class: "soft" }, t("unsure.advice")));

export const warnings = (codesOf) => (codesOf.length === 0 ? null
  : h("ul", { class: "warnings" }, codesOf.map((code) => h("li", {}, t(`warning.${code}`)))));

export const empty = (place) => fill(place, h("div", { class: "empty" },
  h("p", {}, t("answer.empty")), h("p", { class: "soft" }, t("answer.empty_how"))));
