"use strict";
// Draws a chart a statistic over the runs, with its levels and the changes between them. The table has all figures.
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  root.classList.add("js");
  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const short = (v) => v.toLocaleString("en", { maximumFractionDigits: 3 });
  const COLORS = { worse: "--fail", better: "--pass", changed: "--warn" };
  const numbers = data.runs.map((_, at) => at + 1);

  function axis(values, more) {
    return {
      stroke: token("--muted"), font: "12px system-ui, sans-serif", values,
      grid: { stroke: token("--grid"), width: 1 }, ticks: { show: false }, ...more,
    };
  }

  // A change lies between two runs: the line stands halfway, before the first run of the new level.
  function marks(u, changes) {
    const { left, top, width, height } = u.bbox;
    u.ctx.save();
    u.ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const { at, way } of changes) {
      const x = u.valToPos(at + 0.5, "x", true);
      if (x < left || x > left + width) continue;
      u.ctx.strokeStyle = u.ctx.fillStyle = token(COLORS[way]);
      u.ctx.beginPath();
      u.ctx.moveTo(x, top);
      u.ctx.lineTo(x, top + height);
      u.ctx.stroke();
      u.ctx.font = `600 ${11 * devicePixelRatio}px system-ui, sans-serif`;
      const wide = u.ctx.measureText(way).width, gap = 4 * devicePixelRatio;
      const fits = x + gap + wide < left + width;
      u.ctx.textAlign = fits ? "left" : "right";
      u.ctx.textBaseline = "top";
      u.ctx.fillText(way, fits ? x + gap : x - gap, top + 3 * devicePixelRatio);
    }
    u.ctx.restore();
  }

  const drawn = new Set();
  root.dataset.chartsDrawn = 0;
  const size = (place) => ({ width: place.element.clientWidth + 6, height: 220 });
  const figure = (unit) => (u, v) => (v == null ? "" : `${short(v)} ${unit}`);
  const run = { label: "run", value: (u, v) => (v == null ? "" : `${v}, ${data.runs[v - 1].started}`) };

  function draw(place) {
    const series = data.series[place.id];
    const value = figure(series.unit);
    place.plot?.destroy();
    place.plot = new uPlot({
      ...size(place),
      padding: [10, 18, 0, 0],
      cursor: { y: false, sync: { key: "runs" }, points: { size: 6 } },
      legend: { markers: { width: 0, fill: (u, i) => u.series[i].stroke(u, i) } },
      scales: {
        x: { time: false, range: [0.5, numbers.length + 0.5] },
        y: { range: (u, low, high) => [0, high > 0 ? high * 1.15 : 1] },
      },
      axes: [
        axis((u, splits) => splits.map((v) => (Number.isInteger(v) ? v : "")), { size: 30 }),
        axis((u, splits) => splits.map((v) => (v == null ? "" : short(v))), { size: 58 }),
      ],
      series: [
        run,
        {
          label: series.title, stroke: token("--c1"), width: 1.25, value,
          points: { show: true, size: 5, width: 0, fill: token("--c1") },
        },
        { label: "level", stroke: token("--muted"), width: 1.5, dash: [6, 4], value, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
      ],
      hooks: { draw: [(u) => { marks(u, series.changes); root.dataset.chartsDrawn = drawn.add(place.id).size; }] },
    }, [numbers, series.values, series.levels], place.element);
    const canvas = place.plot.ctx.canvas;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Line chart of ${series.title} for each run, ${series.changes.length} changes marked`);
  }

  const places = [...document.querySelectorAll("[data-series]")].map((element) => ({ id: Number(element.dataset.series), element }));
  places.forEach(draw);
  // Resized after the observer has returned: a legend that wraps would otherwise set it off again.
  const fit = (place) => size(place).width === place.plot.width || place.plot.setSize(size(place));
  new ResizeObserver(() => requestAnimationFrame(() => places.forEach(fit))).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
})();
