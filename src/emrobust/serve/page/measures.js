// What was measured of a model before it came here: scores, calibration, robustness, fairness.
import * as charts from "./charts.js";
import { h } from "./dom.js";
import { has, number, percent, t } from "./words.js";

const SCORES = ["macro_f1", "micro_f1", "pr_auc_macro", "ece", "brier"];

const named = (stem, name) => (has(`${stem}.${name}`) ? t(`${stem}.${name}`) : name);

const score = (measures, key) => {
  const [low, high] = measures.interval[key] ?? [];
  const bounds = low === undefined ? null : h("small", {}, ` ${number(low, 3)}–${number(high, 3)}`);
  return h("div", {}, h("dt", {}, t(`score.${key}`)), h("dd", {}, number(measures.scores[key], 3), bounds));
};

const scores = (measures) => {
  const known = SCORES.filter((key) => measures.scores[key] !== undefined);
  if (known.length === 0) return null;
  return h("section", { class: "whole" },
    h("p", { class: "soft" }, t("measures.records", { records: number(measures.records), patients: number(measures.patients) })),
    h("dl", { class: "numbers" }, known.map((key) => score(measures, key))));
};

const calibration = ({ reliability, scores: { ece } }) => {
  if (reliability.length === 0) return null;
  const bins = reliability.map((bin) => ({ expected: bin.stated, observed: bin.true, count: bin.count }));
  return h("section", {}, h("h3", {}, t("measures.calibration")),
    charts.reliability(bins, { said: t("measures.calibration_said", { ece: number(ece ?? 0, 3) }), across: t("monitor.stated"), up: t("measures.true") }));
};

const table = (heads, rows) => h("table", { class: "rates" },
  h("thead", {}, h("tr", {}, heads.map((head, k) => h("th", { scope: "col", class: k ? "n" : null }, head)), h("td", {}))),
  h("tbody", {}, rows));

const sets = (rows) => (rows.length === 0 ? null : h("section", {}, h("h3", {}, t("measures.sets")),
  table([t("measures.promised"), t("measures.held"), t("measures.size")], rows.map((row) => h("tr", {},
    h("th", { scope: "row" }, percent(row.target)),
    h("td", { class: "n" }, row.coverage === undefined ? "" : percent(row.coverage, 1)),
    h("td", { class: "n" }, row.mean === undefined ? "" : number(row.mean, 1)),
    h("td", {}, row.coverage === undefined ? null : charts.interval({ expected: row.target, observed: row.coverage }, 1)))))));

const suites = (rows) => (rows.length === 0 ? null : h("section", {}, h("h3", {}, t("measures.robustness")),
  table([t("measures.texts"), t("measures.before"), t("measures.after")], rows.map((row) => h("tr", {},
    h("th", { scope: "row" }, named("suite", row.name)),
    h("td", { class: "n" }, number(row.standard, 3)), h("td", { class: "n" }, number(row.changed, 3)),
    h("td", {}, charts.interval({ expected: row.standard, observed: row.changed }, 1))))),
  charts.legend([["mark", t("measures.before")], ["now", t("measures.after")]])));

const groups = (rows) => {
  if (rows.length === 0) return null;
  const reach = charts.niceTop(Math.max(...rows.flatMap((row) => [row.gap, row.low ?? 0, row.high ?? 0].map(Math.abs))));
  const shift = (value) => (value === undefined ? undefined : value + reach);
  return h("section", {}, h("h3", {}, t("measures.fairness")),
    h("p", { class: "soft fine" }, t("measures.fairness_how")),
    table([t("measures.group"), t("measures.f1"), t("measures.gap")], rows.map((row) => h("tr", {},
      h("th", { scope: "row" }, `${named("aspect", row.aspect)} ${named("value", row.value)}`),
      h("td", { class: "n" }, number(row.micro_f1, 3)),
      h("td", { class: "n" }, `${row.gap > 0 ? "+" : ""}${number(row.gap, 3)}`),
      h("td", {}, charts.interval({ expected: reach, observed: shift(row.gap), low: shift(row.low), high: shift(row.high) }, 2 * reach))))));
};

/** All figures; a part that the package does not tell is left out. */
export const figures = (measures) => {
  const parts = [scores(measures), calibration(measures), sets(measures.sets), suites(measures.suites), groups(measures.groups)];
  return parts.some(Boolean) ? h("div", { class: "measures" }, parts.filter(Boolean)) : h("p", { class: "soft" }, t("measures.none"));
};
