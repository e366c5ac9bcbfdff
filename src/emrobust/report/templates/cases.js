"use strict";
// J and K go from case to case; what is folded is opened for print.
(() => {
  const cases = Array.from(document.querySelectorAll(".case"));
  const current = () => {
    const focused = document.activeElement && document.activeElement.closest(".case");
    if (focused) return cases.indexOf(focused);
    return cases.findIndex((c) => c.getBoundingClientRect().bottom > 80) - 1;
  };
  const go = (step) => {
    const at = Math.min(Math.max(current() + step, 0), cases.length - 1);
    if (!cases[at]) return;
    cases[at].focus({ preventScroll: true });
    cases[at].scrollIntoView();
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea")) return;
    if (e.key === "j" || e.key === "J") go(1);
    if (e.key === "k" || e.key === "K") go(-1);
  });
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    folded.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((d) => { d.open = false; }));
})();
