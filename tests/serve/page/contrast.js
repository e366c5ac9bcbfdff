// Texts whose contrast with what lies behind them is below WCAG 2.2's 4.5 (3 where they are large).
() => {
  const parse = (colour) => {
    const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return [r, g, b, alpha];
  };
  const over = (a, b) => [0, 1, 2].map((k) => a[k] * a[3] + b[k] * (1 - a[3])).concat(1);
  const chain = (e) => (e ? [e, ...chain(e.parentElement)] : []);
  const groundOf = (e) => chain(e).reverse()
    .reduce((below, layer) => over(parse(getComputedStyle(layer).backgroundColor), below), [255, 255, 255, 1]);
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const EXEMPT = ":disabled, .unseen, option, script, noscript, .skip";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const e = walker.currentNode.parentElement;
    if (!text || !e.checkVisibility() || e.closest(EXEMPT)) continue;
    const style = getComputedStyle(e);
    const ink = parse(e.namespaceURI.endsWith("svg") ? style.fill : style.color);
    ink[3] *= chain(e).reduce((all, layer) => all * Number(getComputedStyle(layer).opacity), 1);
    const ground = groundOf(e);
    const [high, low] = [light(over(ink, ground)), light(ground)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push(`${ratio.toFixed(2)} ${e.tagName} ${e.className} ${text.slice(0, 20)}`);
  }
  return found;
}
