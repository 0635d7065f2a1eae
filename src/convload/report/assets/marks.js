"use strict";
// What is drawn behind and above the lines of a chart: what was not measured, stages, events, limits of gates.
(() => {
  const { token } = convload;
  const TONES = { warn: "warn", fail: "fail", a: "a", b: "b", doubt: "warn" };
  const pixel = () => devicePixelRatio;

  function within(u, from, to) {
    const { left, width } = u.bbox;
    const clamp = (s) => Math.min(Math.max(u.valToPos(s, "x", true), left), left + width);
    return [clamp(from), clamp(to)];
  }

  // In the shade: not measured. In a tint: what made a gate fail, a worker silent, the turn of a target.
  function shade(u, marks) {
    const { top, height } = u.bbox;
    for (const { from_s, to_s, tone } of marks.shades) {
      const [from, to] = within(u, from_s, to_s);
      if (to <= from) continue;
      u.ctx.save();
      u.ctx.globalAlpha = tone ? 0.13 : 1;
      u.ctx.fillStyle = token(tone ? TONES[tone] : "shade");
      u.ctx.fillRect(from, top, to - from, height);
      u.ctx.globalAlpha = 1;
      // A strip at the foot, so that it is seen in print and by those who see no tints.
      if (tone) u.ctx.fillRect(from, top + height - 3 * pixel(), Math.max(to - from, 2 * pixel()), 3 * pixel());
      u.ctx.restore();
    }
  }

  function vertical(u, x) {
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }

  // Names stand above the grid, whose lines would strike them out.
  function write(u, name, x, y = u.bbox.top + 3 * pixel(), color = "muted") {
    u.ctx.fillStyle = token("panel");
    u.ctx.fillRect(x - 1, y, u.ctx.measureText(name).width + 2, 13 * pixel());
    u.ctx.fillStyle = token(color);
    u.ctx.fillText(name, x, y + pixel());
  }

  function named(u, draw) {
    u.ctx.save();
    Object.assign(u.ctx, { font: `${11 * pixel()}px system-ui, sans-serif`, textBaseline: "top", textAlign: "left", lineWidth: pixel() });
    draw(4 * pixel());
    u.ctx.restore();
  }

  // A stage begins at its line; a name stands where it ends before the next one.
  function names(u, marks) {
    named(u, (gap) => {
      const { left, width } = u.bbox;
      for (const { name, from_s, to_s } of marks.shades) {
        const [from, to] = within(u, from_s, to_s);
        if (name && u.ctx.measureText(name).width + 2 * gap < to - from) write(u, name, from + gap);
      }
      u.ctx.strokeStyle = token("muted");
      u.ctx.setLineDash([3 * pixel(), 3 * pixel()]);
      const after = marks.shades.find((one) => one.name === "after")?.from_s ?? marks.ends_s;
      marks.stages.forEach(({ name, from_s }, i) => {
        const [from, to] = within(u, from_s, marks.stages[i + 1]?.from_s ?? after);
        const x = u.valToPos(from_s, "x", true);
        if (x >= left && x <= left + width) vertical(u, x);
        if (from + u.ctx.measureText(name).width + 2 * gap < to) write(u, name, from + gap);
      });
      u.ctx.setLineDash([]);
      for (const { at_s, name, tone } of marks.events) {
        const x = u.valToPos(at_s, "x", true);
        if (x < left || x > left + width) continue;
        u.ctx.strokeStyle = token(TONES[tone] ?? "warn");
        vertical(u, x);
        const wide = u.ctx.measureText(name).width;
        write(u, name, Math.max(left, x + gap + wide < left + width ? x + gap : x - gap - wide), u.bbox.top + 18 * pixel(), TONES[tone] ?? "warn");
      }
    });
  }

  // The limit of a gate is a line; one that is beyond the chart is named at its edge.
  function limits(u, shown) {
    named(u, (gap) => {
      const { left, top, width, height } = u.bbox;
      u.ctx.strokeStyle = token("fail");
      u.ctx.setLineDash([7 * pixel(), 4 * pixel()]);
      shown.forEach(({ value, label, across }, i) => {
        if (across === "x") {
          const x = u.valToPos(value, "x", true);
          if (x < left || x > left + width) return;
          vertical(u, x);
          const wide = u.ctx.measureText(label).width;
          return write(u, label, x + gap + wide < left + width ? x + gap : x - gap - wide, top + (3 + 14 * i) * pixel(), "fail");
        }
        const y = u.valToPos(value, "y", true);
        const wide = u.ctx.measureText(label).width;
        if (y >= top && y <= top + height) {
          u.ctx.beginPath();
          u.ctx.moveTo(left, y);
          u.ctx.lineTo(left + width, y);
          u.ctx.stroke();
          write(u, label, left + width - wide - gap, Math.max(top, y - 14 * pixel()), "fail");
        } else if (y < top) {
          write(u, `${label} ↑`, left + width - u.ctx.measureText(`${label} ↑`).width - gap, top + (3 + 14 * i) * pixel(), "fail");
        }
      });
    });
  }

  // The area between two lines has its name where it is widest.
  function between(u, hi, lo, text) {
    named(u, (gap) => {
      let [best, at] = [0, -1];
      const [a, b] = [u.data[hi], u.data[lo]];
      for (let i = 0; i < a.length; i++) {
        if (a[i] == null || b[i] == null) continue;
        const high = u.valToPos(b[i], "y", true) - u.valToPos(a[i], "y", true);
        if (high > best) [best, at] = [high, i];
      }
      if (best < 16 * pixel()) return;
      const wide = u.ctx.measureText(text).width;
      if (wide > u.bbox.width - 2 * gap) return;
      const x = u.valToPos(u.data[0][at], "x", true);
      const y = (u.valToPos(a[at], "y", true) + u.valToPos(b[at], "y", true)) / 2 - 7 * pixel();
      write(u, text, Math.min(Math.max(u.bbox.left + gap, x - wide / 2), u.bbox.left + u.bbox.width - wide - gap), y, "text");
    });
  }

  // A change of level lies between two runs: its line stands before the first of the new level.
  const WAYS = { worse: "fail", better: "pass", changed: "warn" };
  function changes(u, found) {
    named(u, (gap) => {
      u.ctx.lineWidth = 1.5 * pixel();
      for (const { at, way } of found) {
        const x = u.valToPos(at + 0.5, "x", true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
        u.ctx.strokeStyle = token(WAYS[way]);
        vertical(u, x);
        const wide = u.ctx.measureText(way).width;
        write(u, way, x + gap + wide < u.bbox.left + u.bbox.width ? x + gap : x - gap - wide, undefined, WAYS[way]);
      }
    });
  }

  // An interval is a band across the chart; open to one side it reaches to its edge.
  function band(u, { low, high, across }) {
    const { left, top, width, height } = u.bbox;
    u.ctx.fillStyle = token("shade");
    const [a, b] = [low, high ?? u.scales[across].max].map((v) => u.valToPos(v, across, true));
    if (across === "x") u.ctx.fillRect(a, top, Math.max(b - a, 2), height);
    else u.ctx.fillRect(left, b, width, Math.max(a - b, 2));
  }

  Object.assign(convload, { changes, band, shade, names, limits, between, vertical, named, write });
})();
