// From places in a text to pieces with a weight. Places are counted in characters (code points),
// as Python counts them; JavaScript counts halves of rare characters, so texts are taken apart.

/** How strongly a piece speaks, 0 to 3, beside the strongest of its label. */
const grade = (weight, strongest) => {
  const share = Math.abs(weight) / strongest;
  if (share >= 0.6) return 3;
  if (share >= 0.3) return 2;
  return share >= 0.1 ? 1 : 0;
};

/**
 * The text as pieces, in order: `{text, weight, grade}`, those between spans with weight 0.
 * Spans that overlap an earlier one are left out.
 */
export const pieces = (text, spans) => {
  const characters = Array.from(text);
  const strongest = Math.max(...spans.map((span) => Math.abs(span.weight)), 1e-9);
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  const found = [];
  let at = 0;
  const push = (end, weight, level) => {
    if (end > at) found.push({ text: characters.slice(at, end).join(""), weight, grade: level });
    at = Math.max(at, end);
  };
  for (const span of sorted) {
    const level = grade(span.weight, strongest);
    if (level === 0 || span.start < at) continue;
    push(span.start, 0, 0);
    push(Math.min(span.end, characters.length), span.weight, level);
  }
  push(characters.length, 0, 0);
  return found;
};

/** The strongest pieces for (or against) a label, the same words once. */
export const strongest = (texts, spans, { against = false, most = 6 } = {}) => {
  const limit = Math.max(...spans.map((span) => Math.abs(span.weight)), 1e-9);
  const seen = new Map();
  for (const span of spans) {
    if (span.weight < 0 !== against || grade(span.weight, limit) === 0) continue;
    const text = Array.from(texts(span)).slice(span.start, span.end).join("").trim();
    if (text) seen.set(text, Math.max(seen.get(text) ?? 0, Math.abs(span.weight) / limit));
  }
  return [...seen].map(([text, share]) => ({ text, share })).sort((a, b) => b.share - a.share).slice(0, most);
};
