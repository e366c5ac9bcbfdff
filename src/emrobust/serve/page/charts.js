// Charts as SVG elements, in the page's own colours, with what they show said in words.
import { h, s } from "./dom.js";
import { moment, number } from "./words.js";

const WIDE = 380;
const HIGH = 132;
const LEFT = 46;
const RIGHT = 8;
const TOP = 8;
const FOOT = 22;
const INNER = WIDE - LEFT - RIGHT;
const TALL = HIGH - TOP - FOOT;

/** A number at or above the value that reads well on an axis, as its half does. */
export const niceTop = (value) => {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 4, 6, 10].map((step) => step * power);
  return steps.find((step) => step >= value * 0.999) ?? 10 * power;
};

const plain = (value) => number(value, Number.isInteger(value) ? 0 : 1);

const y = (value, top) => TOP + TALL * (1 - Math.min(value / top, 1));

const frame = (top, format) => [0, 0.5, 1].map((share) => s("g", {},
  s("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(top * share, top), y2: y(top * share, top) }),
  s("text", { class: "tick", x: LEFT - 6, y: y(top * share, top) + 4, "text-anchor": "end" }, format(top * share))));

const picture = (said, ...children) =>
  s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": said, class: "chart" }, children);

/** First and last time below an axis; years and days only where they are needed. */
const times = (from, to) => [["start", LEFT, from], ["end", WIDE - RIGHT, to]].map(([anchor, x, at]) =>
  s("text", { class: "tick", x, y: HIGH - 6, "text-anchor": anchor }, moment(at)));

const place = (at, from, to) => LEFT + INNER * ((at - from) / Math.max(to - from, 1));

/**
 * Lines over time. `points` have `at` (ISO); `lines` are `{key, name, style}`, drawn in their order;
 * where a value is absent a line has a gap.
 */
export const lines = (points, series, { from, to, said, format = plain }) => {
  const [first, last] = [Date.parse(from), Date.parse(to)];
  const values = series.flatMap(({ key }) => points.map((point) => point[key]).filter((v) => v !== undefined));
  const top = niceTop(Math.max(...values, 0));
  const path = ({ key, style }) => {
    const dots = points.filter((point) => point[key] !== undefined)
      .map((point) => [place(Date.parse(point.at), first, last), y(point[key], top)]);
    const d = dots.map(([x, at], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${at.toFixed(1)}`).join("");
    return [s("path", { class: `line ${style}`, d }),
      dots.length < 40 ? dots.map(([x, at]) => s("circle", { class: `dot ${style}`, cx: x.toFixed(1), cy: at.toFixed(1), r: 2.4 })) : null];
  };
  return picture(said, frame(top, format), times(from, to), series.flatMap(path).flat());
};

/** Bars over time, in layers: `layers` are `{key, style}`, the first at the bottom. */
export const columns = (points, layers, { from, to, step, said, format = plain }) => {
  const [first, last] = [Date.parse(from), Date.parse(to)];
  const sum = (point) => layers.reduce((total, { key }) => total + (point[key] ?? 0), 0);
  const top = niceTop(Math.max(...points.map(sum), 0));
  const width = Math.max((INNER * step) / Math.max(last - first, step) - 1, 1.2);
  const bars = points.flatMap((point) => {
    let below = 0;
    return layers.map(({ key, style }) => {
      const [low, high] = [y(below, top), y((below += point[key] ?? 0), top)];
      const x = Math.min(Math.max(place(Date.parse(point.at), first, last), LEFT), WIDE - RIGHT - width);
      return s("rect", { class: `area ${style}`, x: x.toFixed(1), y: high.toFixed(1), width: width.toFixed(1), height: Math.max(low - high, 0).toFixed(1) });
    });
  });
  return picture(said, frame(top, format), times(from, to), bars);
};

/** Two histograms side by side: what is usual, and what came. */
export const histogram = (bins, { said, name }) => {
  const top = niceTop(Math.max(...bins.flatMap((bin) => [bin.expected, bin.observed]), 0));
  const room = INNER / Math.max(bins.length, 1);
  const width = Math.max((room - 4) / 2, 1);
  const bar = (value, x, style) =>
    s("rect", { class: `area ${style}`, x: x.toFixed(1), y: y(value, top).toFixed(1), width: width.toFixed(1), height: (TOP + TALL - y(value, top)).toFixed(1) });
  const every = Math.ceil(bins.length / 6);
  return picture(said, frame(top, (share) => `${number(share * 100)}%`), bins.flatMap((bin, k) => [
    bar(bin.expected, LEFT + k * room + 2, "usual"),
    bar(bin.observed, LEFT + k * room + 2 + width, "now"),
    k % every === 0 ? s("text", { class: "tick", x: LEFT + k * room + room / 2, y: HIGH - 6, "text-anchor": "middle" }, name(bin)) : null,
  ]).filter(Boolean));
};

/** Reliability: what was said against what was so; on the diagonal both agree. */
export const reliability = (bins, { said, across, up }) => {
  const size = 260;
  const edge = 46;
  const at = (value) => edge + (size - edge - 18) * value;
  const point = (bin) => [at(bin.expected), size - at(bin.observed)];
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const ticks = [0, 0.5, 1].flatMap((value) => [
    s("text", { class: "tick", x: at(value), y: size - edge + 14, "text-anchor": "middle" }, `${value * 100}%`),
    s("text", { class: "tick", x: edge - 5, y: size - at(value) + 4, "text-anchor": "end" }, `${value * 100}%`),
  ]);
  return s("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": said, class: "chart square" },
    s("rect", { class: "box", x: at(0), y: size - at(1), width: at(1) - at(0), height: at(1) - at(0) }),
    s("line", { class: "ideal", x1: at(0), y1: size - at(0), x2: at(1), y2: size - at(1) }), ticks,
    s("path", { class: "line now", d: bins.map((bin, k) => `${k ? "L" : "M"}${point(bin).map((v) => v.toFixed(1)).join(" ")}`).join("") }),
    bins.map((bin) => s("circle", { class: "dot now", cx: point(bin)[0].toFixed(1), cy: point(bin)[1].toFixed(1), r: (2 + 4 * Math.sqrt(bin.count / most)).toFixed(1) })),
    s("text", { class: "tick", x: (at(0) + at(1)) / 2, y: size - 12, "text-anchor": "middle" }, across),
    s("text", { class: "tick", x: 12, y: (2 * size - at(0) - at(1)) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(2 * size - at(0) - at(1)) / 2})` }, up));
};

/** A rate with its interval beside the usual one, on a scale from 0 to `top`; decoration of a table. */
export const interval = ({ expected, observed, low, high }, top) => {
  const x = (value) => (4 + 112 * Math.min(value / top, 1)).toFixed(1);
  return s("svg", { viewBox: "0 0 120 16", class: "interval", "aria-hidden": "true" },
    s("line", { class: "grid", x1: 4, x2: 116, y1: 8, y2: 8 }),
    s("line", { class: "reach", x1: x(low ?? observed), x2: x(high ?? observed), y1: 8, y2: 8 }),
    s("line", { class: "usual", x1: x(expected), x2: x(expected), y1: 2, y2: 14 }),
    s("circle", { class: "dot now", cx: x(observed), cy: 8, r: 3.2 }));
};

/** Which colour means what. */
export const legend = (entries) => h("p", { class: "chart-legend" },
  entries.map(([style, name]) => h("span", {}, h("i", { class: `key ${style}`, "aria-hidden": "true" }), " ", name)));
