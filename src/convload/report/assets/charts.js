"use strict";
// Draws the charts of a page (of a run, a history, a capacity search) from the figures embedded in it. Without them
// everything can be read in the tables.
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  root.classList.add("js");

  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const decimals = (v) => (Math.abs(v) < 10 ? 2 : Math.abs(v) < 100 ? 1 : 0);
  const number = (v) => v.toLocaleString("en", { minimumFractionDigits: decimals(v), maximumFractionDigits: decimals(v) });
  const figure = (unit) => (u, v) => (v == null ? "" : number(v) + " " + unit);
  const short = (v) => v.toLocaleString("en", { maximumFractionDigits: 3 });

  const clock = (s) => {
    const pad = (n) => String(n).padStart(2, "0");
    const [h, m, rest] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
    return h ? `${h}:${pad(m)}:${pad(rest)}` : `${m}:${pad(rest)}`;
  };
  const whole = (u, v) => (v == null ? "" : v.toLocaleString("en"));
  const moment = (s) => (s < 120 ? s + " s" : clock(s));
  const second = { label: "at", value: (u, v) => (v == null ? "" : moment(Math.floor(v))) };
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

  function axis(values, more) {
    return {
      stroke: token("--muted"), font: "12px system-ui, sans-serif", values,
      grid: { stroke: token("--grid"), width: 1 }, ticks: { show: false }, ...more,
    };
  }
  const yAxis = (more) => axis((u, splits) => splits.map((v) => (v == null ? "" : short(v))), { size: 58, ...more });
  const xAxis = (values, more) => axis(values, { size: 30, ...more });
  const timeAxis = () => xAxis((u, splits) => splits.map((v) => (splits.at(-1) < 120 ? v + " s" : clock(v))), { incrs: TIME_STEPS });

  const line = (label, color, unit, more) => ({
    label, stroke: token(color), width: 1.75, value: figure(unit), points: { show: false }, ...more,
  });

  // What was not measured lies in the shade, behind the lines.
  function zones(u) {
    const { left, width } = u.bbox;
    const clamp = (s) => Math.min(Math.max(u.valToPos(s, "x", true), left), left + width);
    return [[u.scales.x.min, data.warmup_to_s, "warm-up"], [data.cleanup_from_s, u.scales.x.max, "after"]]
      .filter(([from, to]) => from != null && to != null)
      .map(([from, to, name]) => ({ name, start: clamp(from), wide: clamp(to) - clamp(from) }));
  }
  function shade(u) {
    u.ctx.fillStyle = token("--shade");
    for (const { start, wide } of zones(u)) if (wide > 0) u.ctx.fillRect(start, u.bbox.top, wide, u.bbox.height);
  }
  // Names stand above the grid, whose lines would strike them out.
  function names(u) {
    const gap = 4 * devicePixelRatio;
    u.ctx.save();
    Object.assign(u.ctx, { font: `${11 * devicePixelRatio}px system-ui, sans-serif`, textBaseline: "top", textAlign: "left" });
    for (const { name, start, wide } of zones(u)) if (u.ctx.measureText(name).width + 2 * gap < wide) write(u, name, start + gap);
    stages(u, gap);
    u.ctx.restore();
  }
  function write(u, name, x) {
    const [y, high] = [u.bbox.top + 3 * devicePixelRatio, 13 * devicePixelRatio];
    u.ctx.fillStyle = token("--panel");
    u.ctx.fillRect(x - 1, y, u.ctx.measureText(name).width + 2, high);
    u.ctx.fillStyle = token("--muted");
    u.ctx.fillText(name, x, y + devicePixelRatio);
  }
  function vertical(u, x) {
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
  // A stage begins at its line; its name stands there if it ends before the next one.
  function stages(u, gap) {
    const { left, width } = u.bbox;
    const ends = data.stages.slice(1).map((stage) => stage.from_s);
    u.ctx.strokeStyle = token("--muted");
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    data.stages.forEach((stage, i) => {
      const start = u.valToPos(stage.from_s, "x", true);
      const end = Math.min(u.valToPos(ends[i] ?? data.cleanup_from_s ?? Infinity, "x", true) || Infinity, left + width);
      if (start > left + width || end <= left) return;
      if (start >= left) vertical(u, start);
      const from = Math.max(start, left) + gap;
      if (from + u.ctx.measureText(stage.name).width + gap < end) write(u, stage.name, from);
    });
    u.ctx.setLineDash([]);
  }
  // Values stand at the middle of their second; the axis shows whole seconds.
  const MANY = data.t?.length > 300;
  const fromZero = (u, low, high) => [0, high > 0 ? high * 1.08 : 1];
  const latencyScale = (log) => (log ? { distr: 3 } : { range: fromZero });
  const overTime = (columns, series, { scales, right, t = data.t, ...more } = {}) => [{
    cursor: { y: false, sync: { key: "time" }, points: { size: 6 } },
    hooks: { drawClear: [shade], drawAxes: [names] },
    scales: { x: { time: false, range: (u, low, high) => [Math.floor(low), Math.ceil(high)] }, y: { range: fromZero }, ...scales },
    axes: [timeAxis(), yAxis(), ...(right ? [yAxis({ scale: right, side: 1, grid: { show: false }, size: 44 })] : [])],
    series: [second, ...series],
    ...more,
  }, [t, ...columns]];

  const dots = (label, color) => line(label, color, "ms", {
    paths: () => null,
    points: { show: true, size: MANY ? 2.5 : 4, width: 0, fill: token(color) },
  });
  const thin = (label, color, unit, more) => line(label, color, unit, { width: 1, dash: [5, 4], ...more });
  const area = (color) => ({ fill: token(color) + "26" });
  const median = () => line("p50", "--c1", "ms", { width: 2.25 });

  function latency(log) {
    const { max, p99, p90, p50 } = data.latency;
    const [service, column] = data.open ? [[thin("service p99", "--c3", "ms")], [data.service_p99]] : [[], []];
    const series = [dots("max", "--c7"), line("p99", "--c3", "ms"), ...service, line("p90", "--c2", "ms"), median()];
    return overTime([max, p99, ...column, p90, p50], series, { scales: { y: latencyScale(log) } });
  }

  const answered = () => [line("ok", "--c1", "/s", area("--c1")), line("all", "--text", "/s", { width: 1.25 })];
  const throughput = () => (data.open ? offered() : carried());
  const offered = () => overTime([data.ok_per_s, data.requests_per_s, data.offered_per_s], [
    ...answered(), line("offered", "--c3", "/s", { width: 1.5, dash: [6, 4] }),
  ]);
  const carried = () => overTime([data.users, data.in_flight, data.ok_per_s, data.requests_per_s], [
    line("users", "--c7", "", { scale: "users", width: 1.25, dash: [6, 4], value: whole }),
    line("in flight", "--c5", "", { scale: "users", width: 1, value: whole, show: !MANY }),
    ...answered(),
  ], { scales: { users: { range: fromZero } }, right: "users" });

  const queue = () => overTime([data.backlog, data.in_flight], [
    line("waiting", "--c3", "", { value: whole, ...area("--c3") }), line("in flight", "--c5", "", { value: whole }),
  ]);

  const lateness = (log) => overTime([data.lateness.max, data.lateness.p99, data.lateness.p50], [
    dots("max", "--c7"), line("p99", "--c3", "ms"), median(),
  ], { scales: { y: latencyScale(log) } });

  // A target has a value in its own windows alone; the line goes on over those of the other.
  function turns() {
    const looks = { "A p99": "--c2", "B p99": "--c3", "A p50": "--c1", "B p50": "--c5" };
    const { t, lines } = data.turns;
    const names = lines.map((part) => `${part.target} ${part.name}`);
    const series = names.map((name) => line(name, looks[name], "ms", { spanGaps: true, points: { show: true, size: 4 } }));
    return overTime(lines.map((part) => part.ms), series, { t, cursor: { y: false, dataIdx: nearest, points: { size: 6 } } });
  }

  const generator = () => overTime([data.cpu_percent, data.hub_delay_ms], [
    line("CPU", "--c1", "%", area("--c1")), line("event loop late", "--c3", "ms", { scale: "delay", width: 1.25 }),
  ], {
    scales: { y: { range: (u, low, high) => [0, Math.max(100, high * 1.08)] }, delay: { range: fromZero } }, right: "delay",
  });

  // Stacked: each kind is drawn as the sum of itself and those below it, the whole first.
  function errors() {
    const colors = ["--c3", "--c1", "--c4", "--c5", "--c2", "--c6", "--c7"];
    const sums = data.errors.map((_, i) => data.t.map((_, at) =>
      data.errors.slice(0, i + 1).reduce((sum, kind) => sum + kind.per_s[at], 0) || null));
    const bars = uPlot.paths.bars({ size: [0.9, 60] });
    const series = data.errors.map((kind, i) => line(kind.kind, colors[i], "/s", {
      fill: token(colors[i]), width: 0, paths: bars,
      value: (u, v, s, at) => (at == null ? "" : number(kind.per_s[at]) + " /s"),
    }));
    return overTime(sums.reverse(), series.reverse());
  }

  // 10 is 90 %, 100 is 99 %, 1000 is 99.9 %: each nine more needs a digit more.
  const percent = (x, more) => (100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 2 + more)) + " %";
  const TICKS = [2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

  // Each line has points of its own, so the legend shows the nearest one of each.
  function nearest(u, series, at) {
    const column = u.data[series];
    for (let d = 0; d < column.length; d++) {
      if (column[at - d] != null) return at - d;
      if (column[at + d] != null) return at + d;
    }
    return at;
  }

  function distribution(log) {
    const colors = ["--c1", "--c3", "--c2", "--c5", "--c4", "--c6", "--c7"];
    const drawable = data.distributions.filter((part) => part.x.length);
    const steps = [...new Set(drawable.map((part) => part.step))].slice(0, colors.length);
    const lines = drawable.filter((part) => steps.includes(part.step));
    const colorOf = (part) => colors[steps.indexOf(part.step)];
    const top = Math.max(...lines.map((part) => part.x.at(-1)), 2);
    const ticks = TICKS.filter((x) => x < top / 1.8);
    return [{
      cursor: { y: false, dataIdx: nearest, points: { size: 6 } },
      scales: { x: { time: false, distr: 3, range: [1, top] }, y: latencyScale(log) },
      axes: [
        xAxis((u, splits) => splits.map((x) => percent(x, 0)), { splits: () => ticks, filter: (u, splits) => splits }),
        yAxis(),
      ],
      series: [
        { label: "percentile", value: (u, x) => (x == null ? "" : percent(x, 1)) },
        ...lines.map((part, i) => (part.clock === "service" ? thin : line)(part.label, colorOf(part), "ms", {
          spanGaps: true, ...(part.clock === "service" ? {} : { width: i ? 1.5 : 2.25 }),
        })),
      ],
    }, uPlot.join(lines.map((part) => [part.x, part.ms]))];
  }

  // History: a statistic over the runs. A change lies between two runs: its line stands before the first of the new level.
  const WAYS = { worse: "--fail", better: "--pass", changed: "--warn" };
  function marks(u, changes) {
    const { left, top, width } = u.bbox;
    u.ctx.save();
    u.ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const { at, way } of changes) {
      const x = u.valToPos(at + 0.5, "x", true);
      if (x < left || x > left + width) continue;
      u.ctx.strokeStyle = u.ctx.fillStyle = token(WAYS[way]);
      vertical(u, x);
      u.ctx.font = `600 ${11 * devicePixelRatio}px system-ui, sans-serif`;
      const wide = u.ctx.measureText(way).width, gap = 4 * devicePixelRatio;
      const fits = x + gap + wide < left + width;
      u.ctx.textAlign = fits ? "left" : "right";
      u.ctx.textBaseline = "top";
      u.ctx.fillText(way, fits ? x + gap : x - gap, top + 3 * devicePixelRatio);
    }
    u.ctx.restore();
  }
  function statistic(number) {
    const { title, unit, values, levels, changes } = data.series[number];
    const value = (u, v) => (v == null ? "" : `${short(v)} ${unit}`);
    const runs = data.runs.map((_, at) => at + 1);
    return [{
      cursor: { y: false, sync: { key: "runs" }, points: { size: 6 } },
      hooks: { drawAxes: [(u) => marks(u, changes)] },
      scales: { x: { time: false, range: [0.5, runs.length + 0.5] }, y: { range: fromZero } },
      axes: [xAxis((u, splits) => splits.map((v) => (Number.isInteger(v) ? v : ""))), yAxis()],
      series: [
        { label: "run", value: (u, v) => (v == null ? "" : `${v}, ${data.runs[v - 1].started}`) },
        line(title, "--c1", unit, { width: 1.25, value, points: { show: true, size: 5, width: 0, fill: token("--c1") } }),
        line("level", "--muted", unit, { width: 1.5, dash: [6, 4], value, paths: uPlot.paths.stepped({ align: 1 }) }),
      ],
    }, [runs, values, levels]];
  }

  // Capacity: a dot a trial. The interval is a band across the chart, the limit of the objective a dashed line.
  function interval(across, limit) {
    return (u) => {
      const { left, top, width, height } = u.bbox;
      u.ctx.save();
      u.ctx.fillStyle = token("--shade");
      if (data.low != null) {
        const [a, b] = [data.low, data.high ?? u.scales[across].max].map((v) => u.valToPos(v, across, true));
        if (across === "x") u.ctx.fillRect(a, top, Math.max(b - a, 2), height);
        else u.ctx.fillRect(left, b, width, Math.max(a - b, 2));
      }
      if (limit != null) {
        const y = u.valToPos(limit, "y", true);
        u.ctx.strokeStyle = token("--fail");
        u.ctx.setLineDash([6, 4]);
        u.ctx.beginPath();
        u.ctx.moveTo(left, y);
        u.ctx.lineTo(left + width, y);
        u.ctx.stroke();
      }
      u.ctx.restore();
    };
  }
  const trials = (x, columns, series, { band, ...more } = {}) => [{
    scales: { x: { time: false }, y: { range: fromZero } },
    axes: [xAxis((u, splits) => splits.map(short)), yAxis()],
    series: [{ label: x, value: (u, v) => (v == null ? "" : short(v)) }, ...series],
    hooks: { drawClear: band ? [band] : [] },
    ...more,
  }, columns];
  const spot = (label, color, unit) => line(label, color, unit, {
    paths: () => null, points: { show: true, size: 7, width: 0, fill: token(color) },
  });
  const response = (log) => trials("load", data.response, [spot("p50", "--c1", "ms"), spot("p99", "--c3", "ms")], {
    band: interval("x", data.limit_ms), scales: { x: { time: false }, y: latencyScale(log) },
  });
  const achieved = () => trials("load", data.achieved, [spot("good", "--c2", "/s"), thin("offered", "--c7", "/s")]
    .slice(0, data.achieved.length - 1), { band: interval("x") });
  const timeline = () => trials("at s", data.timeline, [
    spot("pass", "--c2", ""), spot("fail", "--c3", ""), spot("undecided", "--c6", ""), spot("generator", "--c7", ""),
  ], { band: interval("y") });
  const usl = () => trials("in flight", data.usl.slice(0, 3), [spot("measured", "--c1", "/s"), line("fitted", "--c3", "/s")]);
  const residuals = () => trials("in flight", [data.usl[0], data.usl[3]], [spot("residual", "--c5", "%")], {
    scales: { x: { time: false } },
  });

  // A linear axis is the honest default; it hides everything when few values are far out.
  const FAR_OUT = 25;
  const spread = (...columns) => {
    const known = columns.flat().filter((v) => v != null).sort((a, b) => a - b);
    return known.length > 0 && known.at(-1) / known[known.length >> 1] > FAR_OUT;
  };
  const startsLog = {
    latency: () => spread(data.latency.p50, data.latency.p99, data.latency.max),
    lateness: () => spread(data.lateness.p50, data.lateness.p99, data.lateness.max),
    distribution: () => data.distributions.some((part) => spread(part.ms)),
    response: () => true,
  };

  const CHARTS = {
    latency, distribution, throughput, queue, lateness, generator, errors, turns,
    response, achieved, timeline, usl, residuals, statistic,
  };

  const drawn = new Set();
  root.dataset.chartsDrawn = 0;
  const color = (u, i) => u.series[i].stroke(u, i);
  const isDashed = (u, i) => Boolean(u.series[i].dash);
  const MARKERS = {
    markers: {
      width: (u, i) => (isDashed(u, i) ? 2 : 0), dash: () => "dashed", stroke: color,
      fill: (u, i) => (isDashed(u, i) ? "transparent" : color(u, i)),
    },
  };
  const size = (place) => ({ width: place.element.clientWidth + 6, height: 230 });

  function draw(place) {
    const [name, number] = place.id.split("-");
    const [options, columns] = CHARTS[name](number ?? place.log);
    options.hooks = { ...options.hooks, draw: [() => (root.dataset.chartsDrawn = drawn.add(place.id).size)] };
    place.plot?.destroy();
    place.plot = new uPlot({ ...size(place), legend: MARKERS, padding: [10, 18, 0, 0], ...options }, columns, place.element);
    const words = [...place.element.closest("figure").querySelectorAll("h3, figcaption")];
    const canvas = place.plot.ctx.canvas;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words.map((one) => one.textContent).join(": "));
  }

  const places = [...document.querySelectorAll("[data-chart]")].map((element) => {
    const id = element.dataset.chart;
    return { id, element, log: startsLog[id]?.() };
  });
  for (const place of places) {
    const button = document.querySelector(`[data-log="${place.id}"]`);
    button?.setAttribute("aria-pressed", Boolean(place.log));
    button?.addEventListener("click", () => {
      place.log = !place.log;
      button.setAttribute("aria-pressed", Boolean(place.log));
      draw(place);
    });
    draw(place);
  }
  // Resized after the observer has returned: a legend that wraps would otherwise set it off again.
  const fit = (place) => size(place).width === place.plot.width || place.plot.setSize(size(place));
  new ResizeObserver(() => requestAnimationFrame(() => places.forEach(fit))).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
})();
