"use strict";
// Draws the charts of a capacity search from the figures embedded in the page.
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  root.classList.add("js");
  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const short = (v) => (v == null ? "" : v.toLocaleString("en", { maximumSignificantDigits: 4 }));
  const axis = (unit, more) => ({
    stroke: token("--muted"), font: "12px system-ui, sans-serif", size: 58, grid: { stroke: token("--grid"), width: 1 },
    ticks: { show: false }, values: (u, splits) => splits.map((v) => short(v) + (unit && v != null ? unit : "")), ...more,
  });
  const value = (u, v) => short(v);
  const line = (label, color, more) => ({ label, stroke: token(color), width: 1.75, value, points: { show: false }, ...more });
  const dots = (label, color, more) =>
    line(label, color, { width: 0, paths: () => null, points: { show: true, size: 7, fill: token(color) }, ...more });

  // The capacity interval is a band across the chart; the limit of the objective a dashed line.
  function interval(across, limit) {
    return (u) => {
      const { left, top, width, height } = u.bbox;
      u.ctx.save();
      u.ctx.fillStyle = token("--shade");
      if (data.low != null) {
        const scale = across === "x" ? u.scales.x : u.scales.y;
        const [a, b] = [data.low, data.high ?? scale.max].map((v) => u.valToPos(v, across, true));
        if (across === "x") u.ctx.fillRect(a, top, Math.max(b - a, 2), height);
        else u.ctx.fillRect(left, b, width, Math.max(a - b, 2));
      }
      if (limit != null) {
        const y = u.valToPos(limit, "y", true);
        u.ctx.strokeStyle = token("--fail");
        u.ctx.setLineDash([6, 4]);
        u.ctx.beginPath(); u.ctx.moveTo(left, y); u.ctx.lineTo(left + width, y); u.ctx.stroke();
      }
      u.ctx.restore();
    };
  }
  const atLeast = (limit) => (u, low, high) => [0, 1.1 * Math.max(high ?? 1, limit ?? 0)];
  const charts = {
    response: () => ({
      columns: data.response, log: true,
      series: [dots("p50 ms", "--c1"), dots("p99 ms", "--c3")], x: "rate /s", draw: interval("x", data.limit_ms),
    }),
    achieved: () => ({
      columns: data.achieved, series: [line("offered /s", "--c7", { dash: [4, 4] }), dots("good /s", "--c2")], x: "rate /s",
      draw: interval("x"),
    }),
    timeline: () => ({
      columns: data.timeline, draw: interval("y"), x: "at s",
      series: [dots("pass", "--c2"), dots("fail", "--c3"), dots("undecided", "--c6"), dots("generator", "--c7")],
    }),
    usl: () => data.usl && ({
      columns: data.usl.slice(0, 3), series: [dots("measured /s", "--c1"), line("fitted /s", "--c3")], x: "in flight",
    }),
    residuals: () => data.usl && ({
      columns: [data.usl[0], data.usl[3]], series: [dots("residual %", "--c5")], x: "in flight", signed: true,
    }),
  };
  let drawn = 0;
  for (const box of document.querySelectorAll("[data-chart]")) {
    const chart = charts[box.dataset.chart]();
    if (!chart || !chart.columns[0].length) continue;
    const y = chart.log ? { distr: 3 } : chart.signed ? {} : { range: atLeast() };
    const u = new uPlot({
      width: box.clientWidth, height: 250, scales: { x: { time: false }, y }, series: [{ label: chart.x, value }, ...chart.series],
      axes: [axis("", { size: 30 }), axis("")], hooks: { drawClear: chart.draw ? [chart.draw] : [] },
    }, chart.columns, box);
    u.ctx.canvas.setAttribute("role", "img");
    u.ctx.canvas.setAttribute("aria-label", box.closest("figure").querySelector("h3").textContent);
    new ResizeObserver(() => u.setSize({ width: box.clientWidth, height: 250 })).observe(box);
    drawn += 1;
  }
  root.dataset.chartsDrawn = drawn;
})();
