// Belongs here: what every island draws with (htm bound to Preact, signals), the boot data and the texts of the page.
// Does not belong here: anything that knows what a track is.

import { Fragment, h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import htm from "htm";

// Controls, bidirectional marks and zero-width signs, but for joiners inside a picture: as `visible` on the server.
const UNSEEN =
  /(?<![\u2190-\u2bff\u{1f000}-\u{1faff}\ufe0f])\u200d|[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;
const writtenOut = (sign) => {
  const code = sign.codePointAt(0).toString(16);
  return code.length < 3 ? `\\x${code.padStart(2, "0")}` : code.length < 5 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
};
/** A text with every sign that nobody sees written out; what is no text stays. */
export const visible = (child) =>
  typeof child === "string" ? child.replace(UNSEEN, writtenOut) : Array.isArray(child) ? child.map(visible) : child;

export const html = htm.bind((type, props, ...children) => h(type, props, ...children.map(visible)));
export {
  Fragment, batch, computed, effect, h, render, signal, untracked, useEffect, useLayoutEffect, useMemo, useRef, useState,
};

/** What the server wrote into the page: user, role, language, version, texts. */
export const boot = JSON.parse(document.getElementById("boot")?.textContent ?? "{}");

const texts = boot.texts ?? {};

/** The text of a key with {values} put in; the key itself where the language lacks it, so that a gap is seen. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

const clock = new Intl.DateTimeFormat(boot.lang || "en", { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(boot.lang || "en", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});
const percent = new Intl.NumberFormat(boot.lang || "en", { style: "percent", maximumFractionDigits: 0 });

export const timeOfDay = (iso) => clock.format(new Date(iso));
/** A recording time as the camera says it: cameras know no zone, so none is applied. */
export const recordingTime = (iso) => (iso ? moment.format(new Date(/Z|[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}Z`)) : "");
export const asPercent = (share) => percent.format(share);

const PAINT_MS = 150;

/** Does work that can wait until what was drawn just now is on the glass; at once where nothing is drawn. */
export function afterPaint(work) {
  let done = false;
  const once = () => {
    if (!done) work();
    done = true;
  };
  if (document.hidden) return once();
  setTimeout(once, PAINT_MS);
  return requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(once)));
}
