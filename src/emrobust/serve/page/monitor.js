// How the service and its models do: load, drift, calibration, feedback, and what to do about it.
import { askJson } from "./api.js";
import * as charts from "./charts.js";
import { h } from "./dom.js";
import { labelsOf, titled } from "./known.js";
import { panel } from "./panel.js";
import { chance, duration, either, moment, nameOf, number, percent, t } from "./words.js";

const EVERY = 60_000;
const HOURS = [24, 168, 720];
const ROWS = 12;
let found = null;
let hours = 24;
let model = null;
let known = []; // the labels of the model, with their titles

const look = async () => {
  const asked = new URLSearchParams({ hours: String(hours), ...(model ? { model } : {}) });
  const [wanted, of] = [hours, model];
  const told = await askJson(`v1/monitor?${asked}`);
  const labelsThere = told.labels.rows ? await labelsOf(told.model) : [];
  if (wanted === hours && of === model) [found, known] = [told, labelsThere]; // else another was picked meanwhile
  return EVERY;
};

const badge = (level = "unknown") => h("span", { class: `level ${level}` }, t(`level.${level}`));

const wideCard = (size, title, level, ...content) => h("section", { class: `sheet card ${size}` },
  h("div", { class: "row head" }, h("h2", {}, title), level === null ? null : badge(level)), content);
const card = (title, level, ...content) => wideCard("", title, level, ...content);

const facts = (pairs) => h("dl", { class: "numbers" },
  pairs.filter(([, value]) => value !== undefined).map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, value))));

const span = () => ({ from: found.from, to: found.to });
const few = () => h("p", { class: "soft" }, t("monitor.few"));
const ifAny = (points, make) => (points.length ? make() : few());
const maybe = (value, format, ...more) => (value === undefined ? undefined : format(value, ...more));
const share = (value) => percent(value, 1);

const load = () => {
  const { requests = 0, p50, p95, p99 } = found.load ?? {};
  const history = found.history ?? [];
  return card(t("monitor.load"), null,
    facts([["monitor.requests", number(requests)], ["monitor.p50", maybe(p50, duration)], ["monitor.p95", maybe(p95, duration)], ["monitor.p99", maybe(p99, duration)]]),
    ifAny(history, () => charts.columns(history, [{ key: "requests", style: "now" }], { ...span(), step: 3_600_000, said: t("monitor.load_said", { count: number(requests) }) })));
};

const latency = () => {
  const history = (found.history ?? []).filter((point) => point.p50 !== undefined);
  return card(t("monitor.latency"), null, ifAny(history, () => [
    charts.lines(history, [{ key: "p95", style: "usual" }, { key: "p50", style: "now" }], { ...span(), format: duration, said: t("monitor.latency_said") }),
    charts.legend([["now", t("monitor.p50")], ["dash", t("monitor.p95")]]),
  ]));
};

const VERDICTS = [["accepted", "good"], ["changed", "changed"], ["rejected", "bad"]];

const feedback = () => {
  const given = found.feedback ?? {};
  const history = (found.history ?? []).filter((point) => point.feedback);
  return card(t("monitor.feedback"), given.level,
    facts([["monitor.rate", maybe(given.rate, share)], ...VERDICTS.map(([key]) => [`monitor.${key}`, maybe(given[key], share)])]),
    ifAny(history, () => [
      charts.columns(history, VERDICTS.map(([key, style]) => ({ key, style })), { ...span(), step: 3_600_000, said: t("monitor.feedback_said", { count: number(given.answered ?? 0) }) }),
      charts.legend(VERDICTS.map(([key, style]) => [style, t(`monitor.${key}`)])),
    ]));
};

const abstention = () => {
  const given = found.abstention ?? {};
  const history = (found.history ?? []).filter((point) => point.abstained !== undefined);
  return card(t("monitor.abstention"), given.level,
    facts([["monitor.observed", maybe(given.observed, share)], ["monitor.expected", maybe(given.expected, share)]]),
    ifAny(history, () => charts.lines(history, [{ key: "abstained", style: "now" }], { ...span(), format: percent, said: t("monitor.abstention_said") })));
};

const shadow = () => found.shadow && card(t("monitor.shadow"), null,
  facts([["monitor.compared", number(found.shadow.compared)], ["monitor.same_first", share(found.shadow.same_first)], ["monitor.same", share(found.shadow.same)]]),
  h("p", { class: "soft fine" }, t("monitor.shadow_how")));

const nameOfBin = (bin) => number(bin.from ?? bin.to, (bin.to ?? bin.from) <= 1 ? 2 : 0);

const feature = (of) => h("figure", { class: "feature" },
  h("figcaption", {}, h("b", {}, either(of.title)), " ", badge(of.level), h("small", {}, `PSI ${number(of.psi, 3)} · ${t("monitor.limit")} ${number(of.threshold, 2)}`)),
  of.bins?.length ? charts.histogram(of.bins, { said: t("monitor.feature_said", { name: either(of.title), psi: number(of.psi, 3) }), name: nameOfBin }) : null);

const shift = (of) => h("li", {}, h("span", {}, either(of.title)), h("small", {}, `MMD ${number(of.mmd, 3)} · ${chance(of.p)}`), badge(of.level));

const input = () => {
  const given = found.input ?? {};
  const features = given.features ?? [];
  return wideCard("most", t("monitor.input"), given.level,
    features.length === 0 ? few() : [
      h("div", { class: "features" }, features.map(feature)),
      charts.legend([["usual", t("monitor.usual")], ["now", t("monitor.now")]]),
    ],
    given.shifts?.length ? h("ul", { class: "shifts" }, given.shifts.map(shift)) : null);
};

const labels = () => {
  const given = found.labels ?? {};
  const rows = (given.rows ?? []).slice(0, ROWS);
  const top = charts.niceTop(Math.max(...rows.flatMap((row) => [row.expected, row.high ?? row.observed]), 0));
  const heads = ["monitor.label", "monitor.expected", "monitor.observed"];
  return wideCard("most", t("monitor.labels"), given.level, ifAny(rows, () => [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("monitor.labels") }, h("table", { class: "rates" },
      h("thead", {}, h("tr", {}, heads.map((word, k) => h("th", { scope: "col", class: k ? "n" : null }, t(word))), h("td", {}), h("td", {}))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, nameOf(titled(row.label, known))), h("td", { class: "n" }, share(row.expected)), h("td", { class: "n" }, share(row.observed)),
        h("td", {}, charts.interval(row, top)), h("td", {}, row.level === "calm" ? null : badge(row.level))))))),
    charts.legend([["mark", t("monitor.usual")], ["now", t("monitor.now_interval")]]),
  ]));
};

const calibration = () => {
  const given = found.calibration ?? {};
  const bins = (given.bins ?? []).filter((bin) => bin.count > 0);
  const reach = (value, low, high, format) => (value === undefined ? undefined : `${format(value)} (${format(low)}–${format(high)})`);
  const plain = (value) => number(value, 2);
  return card(t("monitor.calibration"), given.level,
    facts([["monitor.ece", reach(given.ece, given.ece_low, given.ece_high, (v) => number(v, 3))], ["monitor.ratio", reach(given.ratio, given.ratio_low, given.ratio_high, plain)]]),
    ifAny(bins, () => [charts.reliability(bins, { said: t("monitor.calibration_said", { ece: number(given.ece ?? 0, 3) }), across: t("monitor.stated"), up: t("monitor.true") }),
      h("p", { class: "soft fine" }, t("monitor.calibration_how"))]));
};

const alarm = (one) => h("li", { class: one.level }, badge(one.level), h("div", {},
  h("b", {}, either(one.title)), " ", h("small", {}, t("monitor.since", { at: moment(one.since) })),
  one.now === one.level ? null : h("small", {}, " · ", t("monitor.present", { level: t(`level.${one.now}`) })),
  h("p", {}, either(one.advice))));

const alarms = () => {
  const level = found.level ?? "unknown";
  return h("section", { class: `sheet summary ${level}`, "aria-live": "polite" },
    h("p", { class: "verdict-line" }, t(`monitor.level_${level}`)),
    found.alarms?.length ? h("ul", { class: "alarms" }, found.alarms.map(alarm)) : null);
};

const pick = (label, id, options, now, onPick) => h("label", { class: "pick" }, h("span", { class: "unseen" }, label),
  h("select", { id, onchange: (event) => onPick(event.target.value) }, options.map(([value, words]) => h("option", { value, selected: value === String(now) }, words))));

const bar = () => h("div", { class: "row head" },
  h("h1", {}, t("monitor.title")),
  (found?.models?.length ?? 0) > 1 ? pick(t("monitor.model"), "monitor-model", found.models.map((name) => [name, name]), found.model, (name) => { model = name; own.refresh(); })
    : h("span", { class: "soft" }, found?.model ?? ""),
  pick(t("monitor.hours"), "monitor-hours", HOURS.map((count) => [String(count), t(`monitor.hours_${count}`)]), hours, (count) => { hours = Number(count); own.refresh(); }));

const content = () => [
  bar(),
  found === null ? h("p", { class: "soft" }, t("loading"))
    : [alarms(), h("div", { class: "cards" }, shadow(), load(), latency(), feedback(), labels(), calibration(), input(), abstention())],
];

const own = panel("monitor", { content, look, forget: () => { found = null; } });
export const { enter, leave } = own;
