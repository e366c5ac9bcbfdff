// A panel that shows what the service says: asked when it is entered, and again while it is seen;
// drawn anew when something is known or another language is spoken; empty when it is left.
import { by, fill } from "./dom.js";
import { tell } from "./trouble.js";

/**
 * The panel with this id. `content()` is what to show; `look()` asks the service, and answers after
 * how many milliseconds to ask again (0: not by itself); `forget()` drops what is known.
 */
export const panel = (id, { content, look, forget }) => {
  const place = by(id);
  let shown = false;
  let clock = 0;
  let pause = 0;

  const draw = () => {
    if (!shown) return;
    const focused = document.activeElement?.dataset?.focus ?? document.activeElement?.id;
    fill(place, content());
    if (focused) place.querySelector(`[data-focus="${focused}"], [id="${focused}"]`)?.focus();
  };

  const refresh = async () => {
    clearTimeout(clock);
    try {
      pause = await look();
    } catch (failure) {
      tell(failure, refresh);
    }
    clearTimeout(clock);
    if (shown && pause) clock = setTimeout(refresh, pause);
    draw();
  };

  const enter = () => {
    shown = true;
    draw();
    refresh();
  };

  const leave = () => {
    shown = false;
    clearTimeout(clock);
    forget();
    fill(place);
  };

  document.addEventListener("language", draw);
  return { draw, refresh, enter, leave };
};
