"use strict";
// What all scripts of a page share: colours of the page's theme, and figures as people read them.
globalThis.convload = (() => {
  const root = document.documentElement;
  const token = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const decimals = (v) => (Math.abs(v) < 10 ? 2 : Math.abs(v) < 100 ? 1 : 0);
  const number = (v) => v.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: decimals(v) });
  const short = (v) => v.toLocaleString("en", { maximumSignificantDigits: 4 });
  const withUnit = (v, unit) => (v == null ? "–" : number(v) + (unit ? (unit.startsWith("/") ? "" : " ") + unit : ""));
  const clock = (s) => {
    const pad = (n) => String(n).padStart(2, "0");
    const [h, m, rest] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, Math.floor(s % 60)];
    return h ? `${h}:${pad(m)}:${pad(rest)}` : `${m}:${pad(rest)}`;
  };
  const moment = (s) => (s < 120 ? `${+s.toFixed(2)} s` : clock(s));
  // 10 is 90 %, 100 is 99 %, 1000 is 99.9 %: each nine more needs a digit more.
  const percent = (x, more = 0) => (100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 2 + more)) + " %";
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  // Columns of heat maps that a page has as text (`packed` in course_data.py).
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const unpacked = (text) => text.split(" ").map((column) => {
    const found = [];
    let [number, worth] = [0, 1];
    for (const digit of column) {
      const value = DIGITS.indexOf(digit);
      number += (value % 32) * worth;
      worth *= 32;
      if (value < 32) { found.push(number); [number, worth] = [0, 1]; }
    }
    return found;
  });
  return { unpacked, root, token, number, short, withUnit, clock, moment, percent, element };
})();
