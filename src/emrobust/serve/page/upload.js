// A table on its way to the service: how far it is, in words and as a bar, and a way to stop it.
import { Failure, upload } from "./api.js";
import { by, fill, h } from "./dom.js";
import { bytes, percent, say, t } from "./words.js";

let sending = null; // {name, sent, total, stop}

/** Whether a table is on its way. */
export const isSending = () => sending !== null;

const isSent = () => sending.total > 0 && sending.sent >= sending.total;

const words = () => (isSent() ? t("batch.checking", { name: sending.name })
  : t("batch.sending", { name: sending.name, sent: bytes(sending.sent), total: bytes(sending.total), share: percent(sending.sent / (sending.total || 1)) }));

/** The bar without a value moves, which says that the service is at work. */
const drawBar = () => {
  const bar = by("sending-bar");
  if (!bar) return; // another panel is seen
  if (isSent()) bar.removeAttribute("value");
  else bar.value = sending.sent;
  fill(by("sending-words"), words());
  by("sending-stop").hidden = isSent();
};

/** What stands in the place where tables are dropped, while one is on its way. */
export const shown = () => {
  const value = isSent() ? null : String(sending.sent);
  return h("div", { class: "sending" },
    h("p", { id: "sending-words" }, words()),
    h("progress", { id: "sending-bar", class: "meter", max: String(sending.total || 1), value, "aria-labelledby": "sending-words" }),
    h("button", { type: "button", id: "sending-stop", hidden: isSent(), onclick: () => sending?.stop.abort() }, t("batch.stop")));
};

/** Send a table; the job's id, or a Failure, of which the code `stopped` says that the user did. */
export const send = async (file, path) => {
  const stop = new AbortController();
  sending = { name: file.name, sent: 0, total: file.size, stop };
  say(words());
  const onProgress = (sent) => {
    const was = isSent();
    sending.sent = Math.min(sent, file.size);
    drawBar();
    if (isSent() && !was) say(words());
  };
  try {
    const { job } = await upload(path, file, { signal: stop.signal, onProgress });
    say(t("batch.queued", { name: file.name }));
    return job;
  } catch (failure) {
    if (failure instanceof Failure && failure.code === "stopped") say(t("batch.stopped", { name: file.name }));
    throw failure;
  } finally {
    sending = null;
  }
};

/** Stop what is on its way. */
export const stop = () => sending?.stop.abort();
