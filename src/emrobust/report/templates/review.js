"use strict";
// The review sheet: offsets are counted in characters (code points), as Python counts them.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const sheet = read("sheet");
  const kinds = read("kinds");
  const place = document.getElementById("documents");
  const palette = document.getElementById("palette");
  const store = "emrobust-review-" + sheet.sheet;
  let selected = null;

  const state = sheet.documents.map((d) => ({
    row: d.row,
    reviewed: false,
    fields: d.fields.map((f) => ({
      name: f.name,
      spans: f.spans.map(([start, end, kind]) => [start, end, kind, "right"]),
      missed: [],
    })),
  }));

  // What was done is kept in this browser, as places; never the text.
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(store));
      if (kept && kept.length === state.length) kept.forEach((d, i) => { state[i] = d; });
    } catch { /* a browser that keeps nothing: the sheet works all the same */ }
  };
  const save = () => {
    try { localStorage.setItem(store, JSON.stringify(state)); } catch { /* see load */ }
    progress();
  };

  const progress = () => {
    const done = state.filter((d) => d.reviewed).length;
    const said = document.getElementById("progress");
    said.textContent = said.dataset.words.replace("{done}", done).replace("{all}", state.length);
    const meter = document.getElementById("meter");
    meter.max = Math.max(state.length, 1);
    meter.value = done;
  };

  const element = (name, content, className) => {
    const made = document.createElement(name);
    if (content) made.textContent = content;
    if (className) made.className = className;
    return made;
  };

  const show = (box, d, f) => {
    const chars = Array.from(sheet.documents[d].fields[f].text);
    const of = state[d].fields[f];
    const marks = [
      ...of.spans.map((s, at) => ({ start: s[0], end: s[1], kind: s[2], wrong: s[3] === "wrong", at })),
      ...of.missed.map((s, at) => ({ start: s[0], end: s[1], kind: s[2], missed: true, at })),
    ].sort((a, b) => a.start - b.start);
    box.textContent = "";
    let at = 0;
    const plain = (end) => {
      if (end <= at) return;
      const piece = element("span", chars.slice(at, end).join(""));
      piece.dataset.start = at;
      box.append(piece);
    };
    for (const m of marks) {
      plain(m.start);
      const mark = element("mark", chars.slice(m.start, m.end).join(""));
      mark.className = m.missed ? "missed" : m.wrong ? "wrong" : "";
      mark.dataset.label = (kinds[m.kind] || m.kind) +
        (m.missed ? " · " + place.dataset.missed : m.wrong ? " · " + place.dataset.wrong : "");
      mark.dataset.start = m.start;
      mark.tabIndex = 0;
      mark.title = m.missed ? "" : sheet.documents[d].fields[f].spans[m.at][3];
      const turn = () => {
        if (m.missed) of.missed.splice(m.at, 1);
        else of.spans[m.at][3] = m.wrong ? "right" : "wrong";
        save();
        show(box, d, f);
      };
      mark.addEventListener("click", () => { if (getSelection().isCollapsed) turn(); });
      mark.addEventListener("keydown", (e) => {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); turn(); }
      });
      box.append(mark);
      at = Math.max(at, m.end);
    }
    plain(chars.length);
  };

  const build = () => sheet.documents.forEach((d, i) => {
    const card = element("article", "", "document");
    const heading = element("h2",
      place.dataset.heading.replace("{n}", i + 1).replace("{row}", d.row));
    const label = element("label");
    const tick = element("input");
    tick.type = "checkbox";
    tick.checked = state[i].reviewed;
    card.classList.toggle("done", tick.checked);
    tick.addEventListener("change", () => {
      state[i].reviewed = tick.checked;
      card.classList.toggle("done", tick.checked);
      save();
    });
    label.append(tick, " " + place.dataset.done);
    heading.append(label);
    card.append(heading);
    d.fields.forEach((f, k) => {
      const box = element("p", "", "text");
      box.dataset.place = i + "," + k;
      card.append(element("h3", f.name), box);
      show(box, i, k);
    });
    place.append(card);
  });

  // From a place in the page to a number of characters in the text.
  const offset = (node, at) => {
    const piece = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (!piece.dataset || piece.dataset.start === undefined) return null;
    const before = node.nodeType === Node.TEXT_NODE ? node.data.slice(0, at) : at ? piece.textContent : "";
    return Number(piece.dataset.start) + Array.from(before).length;
  };

  document.addEventListener("selectionchange", () => {
    const range = getSelection().rangeCount ? getSelection().getRangeAt(0) : null;
    selected = null;
    if (range && !range.collapsed) {
      const box = (range.startContainer.parentElement || range.startContainer).closest(".text");
      const other = (range.endContainer.parentElement || range.endContainer).closest(".text");
      const start = offset(range.startContainer, range.startOffset);
      const end = offset(range.endContainer, range.endOffset);
      if (box && box === other && start !== null && end !== null && start < end) {
        selected = { box, start, end };
      }
    }
    palette.hidden = selected === null;
  });

  // Without this a click on the palette would take the selection away first.
  palette.addEventListener("mousedown", (e) => e.preventDefault());
  palette.addEventListener("click", (e) => {
    const kind = e.target.dataset.kind;
    if (!kind || !selected) return;
    const { box, start, end } = selected;
    const [d, f] = box.dataset.place.split(",").map(Number);
    const of = state[d].fields[f];
    // What is marked already is no miss: only the rest of the selection counts.
    let rests = [[start, end]];
    for (const [a, b] of [...of.spans, ...of.missed]) {
      rests = rests.flatMap(([s, t]) => (b <= s || t <= a)
        ? [[s, t]] : [[s, Math.min(a, t)], [Math.max(b, s), t]].filter(([x, y]) => x < y));
    }
    rests.forEach(([s, t]) => of.missed.push([s, t, kind]));
    getSelection().removeAllRanges();
    save();
    show(box, d, f);
  });

  document.getElementById("next").addEventListener("click", () => {
    const next = state.findIndex((d) => !d.reviewed);
    if (next >= 0) place.children[next].scrollIntoView({ block: "center" });
  });

  document.getElementById("export").addEventListener("click", () => {
    const content = JSON.stringify({ version: 1, sheet: sheet.sheet, documents: state });
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
    link.download = "corrections-" + sheet.sheet + ".json";
    link.click();
    URL.revokeObjectURL(link.href);
  });

  load();
  build();
  progress();
})();
