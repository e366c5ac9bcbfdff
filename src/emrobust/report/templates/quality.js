"use strict";
// The quality sheet: which labels each record should have. It exports numbers and labels only.
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const store = "emrobust-quality-" + facts.data.slice(0, 16);
  const cards = Array.from(document.querySelectorAll(".document"));
  const kept = (() => {
    try { return JSON.parse(localStorage.getItem(store)) || {}; } catch { return {}; }
  })();

  const chosen = (card) => Array.from(card.querySelectorAll(".option input:checked"), (i) => i.value);
  const record = (card) => facts.records[Number(card.dataset.record)];
  const done = (card) => card.querySelector(".done");

  const progress = () => {
    const count = cards.filter((c) => done(c).checked).length;
    const said = document.getElementById("progress");
    said.textContent = said.dataset.words.replace("{done}", count).replace("{all}", cards.length);
    const meter = document.getElementById("meter");
    meter.max = Math.max(cards.length, 1);
    meter.value = count;
  };

  const save = (card) => {
    kept[record(card)] = { reviewed: done(card).checked, labels: chosen(card) };
    try { localStorage.setItem(store, JSON.stringify(kept)); } catch { /* works all the same */ }
    card.classList.toggle("done", done(card).checked);
    progress();
  };

  const set = (card, name, on) => {
    let input = Array.from(card.querySelectorAll(".option input")).find((i) => i.value === name);
    if (!input) {
      const label = document.createElement("label");
      label.className = "option";
      input = document.createElement("input");
      input.type = "checkbox";
      input.value = name;
      label.append(input, " " + name);
      card.querySelector(".other").before(label);
    }
    input.checked = on;
  };

  const known = new Set(Array.from(document.querySelectorAll("#names option"), (o) => o.value));
  cards.forEach((card) => {
    const before = kept[record(card)];
    if (before) {
      Array.from(card.querySelectorAll(".option input")).forEach((i) => { i.checked = false; });
      before.labels.forEach((name) => set(card, name, true));
      done(card).checked = before.reviewed;
      card.classList.toggle("done", before.reviewed);
    }
    card.addEventListener("change", (e) => {
      if (e.target.classList.contains("other")) {
        if (!known.has(e.target.value)) return;
        set(card, e.target.value, true);
        e.target.value = "";
      }
      save(card);
    });
    const accept = card.querySelector(".accept");
    if (accept) accept.addEventListener("click", () => {
      set(card, accept.dataset.drop, false);
      set(card, accept.dataset.add, true);
      done(card).checked = true;
      save(card);
    });
  });

  document.getElementById("next").addEventListener("click", () => {
    const next = cards.find((c) => !done(c).checked);
    if (!next) return;
    next.scrollIntoView({ block: "start" });
    window.scrollBy(0, -70);
    done(next).focus({ preventScroll: true });
  });

  document.getElementById("export").addEventListener("click", () => {
    const records = cards.map((c) => ({
      record_id: record(c), reviewed: done(c).checked, labels: chosen(c),
    }));
    const content = JSON.stringify({ version: 1, data: facts.data, records });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
    link.download = "quality-corrections.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });

  progress();
})();
