"use strict";
// From a declaration and its columns to what uPlot draws: lines, stacked bars, a heat map.
(() => {
  const { token, short, withUnit, clock, moment, percent } = convload;
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const PERCENT_TICKS = [2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
  const MANY = 300;

  function axis(values, more) {
    return {
      stroke: token("muted"), font: "12px system-ui, sans-serif", values,
      grid: { stroke: token("grid"), width: 1 }, ticks: { show: false }, ...more,
    };
  }
  const yAxis = (more) => axis((u, splits) => splits.map((v) => (v == null ? "" : short(v))), { size: 58, ...more });
  const fromZero = (top = 0) => (u, low, high) => [0, Math.max(top, high > 0 ? high * 1.08 : 1)];

  // Each way along: its axis, its scale, and how a place on it is said.
  const ALONG = {
    time: (data, xs) => ({
      axis: axis((u, splits) => splits.map((v) => (splits.at(-1) < 120 ? v + " s" : clock(v))), { size: 30, incrs: TIME_STEPS }),
      // From the begin of the first bin to the end of the last. What it gives it must give again: charts set each other's.
      scale: { time: false, range: (u, low, high) => [
        low <= xs[0] ? Math.min(low, xs[0] - data.bin_s / 2) : low, high >= xs.at(-1) ? Math.max(high, xs.at(-1) + data.bin_s / 2) : high,
      ] },
      say: (x) => (data.bin_s > 1 ? `${moment(x - data.bin_s / 2)} to ${moment(x + data.bin_s / 2)}` : moment(Math.floor(x))),
    }),
    percent: (data, xs) => {
      const top = Math.max(xs.at(-1) ?? 2, 2);
      const ticks = PERCENT_TICKS.filter((x) => x < top / 1.8);
      return {
        axis: axis((u, splits) => splits.map((x) => percent(x)), { size: 30, splits: () => ticks, filter: (u, splits) => splits }),
        scale: { time: false, distr: 3, range: [1, top] },
        say: (x) => percent(x, 1),
      };
    },
    log: () => ({
      axis: axis((u, splits) => splits.map((v) => (v == null ? "" : short(v))), { size: 30 }),
      scale: { time: false, distr: 3, range: (u, low, high) => [low, high] },
      say: (x) => withUnit(x, "ms"),
    }),
    number: () => ({
      axis: axis((u, splits) => splits.map(short), { size: 30 }), scale: { time: false }, say: (x) => short(x),
    }),
    run: (data, xs) => ({
      axis: axis((u, splits) => splits.map((v) => (Number.isInteger(v) ? v : "")), { size: 30 }),
      scale: { time: false, range: [0.5, xs.length + 0.5] },
      say: (x) => `${x}, ${data.runs?.[Math.round(x) - 1]?.started ?? ""}`,
    }),
  };

  // The number of the view that a chart shows: the one that it is of, the one that is looked at, or the first.
  function placeOf(data, chart, view) {
    if (chart.view) return data.views?.findIndex((one) => `${one.kind} ${one.name}` === chart.view) ?? -1;
    return chart.by_view ? view : 0;
  }

  // Where the columns of a chart are: of the step, variant or target that is looked at, else of the whole run.
  function columnsOf(data, chart, view) {
    const seen = data.views?.[placeOf(data, chart, view)];
    return (name) => (name === "t" ? data.t : undefined) ?? seen?.columns[name] ?? seen?.shapes[name] ?? data.columns?.[name] ?? data.shapes?.[name];
  }

  const LOOKS = {
    line: () => ({}),
    bold: () => ({ width: 2.5 }),
    thin: () => ({ width: 1.25, dash: [5, 4] }),
    area: (color) => ({ fill: color + "26" }),
    dots: (color, many) => ({ paths: () => null, points: { show: true, size: many ? 2.5 : 4, width: 0, fill: color } }),
    spots: (color) => ({ paths: () => null, points: { show: true, size: 7, width: 0, fill: color } }),
    joined: (color) => ({ width: 1.25, points: { show: true, size: 5, width: 0, fill: color } }),
    level: () => ({ width: 1.5, dash: [6, 4], paths: uPlot.paths.stepped({ align: 1 }) }),
    steps: () => ({ paths: uPlot.paths.stepped({ align: 1 }), dash: [5, 4] }),
    filled_steps: (color) => ({ paths: uPlot.paths.stepped({ align: 1 }), fill: color + "40" }),
  };
  function drawn(line, color, many, more) {
    return { label: line.label, stroke: color, width: 1.75, points: { show: false }, ...LOOKS[line.look ?? "line"](color, many), scale: line.right ? "right" : "y", ...more };
  }

  // A linear axis is the honest default; it hides everything when few values are far out.
  function spread(columns) {
    const known = columns.flat().filter((v) => v > 0).sort((a, b) => a - b);
    return known.length > 0 && known.at(-1) / known[known.length >> 1] > 25;
  }

  // Lines with points of their own, and those of another run, share the points of all.
  function joined(tables) {
    const alike = tables.every(([xs]) => xs.length === tables[0][0].length && xs.every((x, i) => x === tables[0][0][i]));
    return alike ? [tables[0][0], ...tables.flatMap((table) => table.slice(1))] : uPlot.join(tables);
  }

  const sameView = (data, other, view) => (other.views ?? []).findIndex((one) => one.kind === data.views?.[view]?.kind && one.name === data.views[view].name);

  function lines(chart, data, view, log) {
    const [tables, series, entries, bands] = [[], [], [], []];
    const sources = [data, ...(data.other ? [data.other] : [])];
    sources.forEach((source, nth) => {
      const column = columnsOf(source, chart, nth ? sameView(data, source, view) : view);
      for (const line of chart.lines ?? []) {
        const [xs, ys] = [column(line.x ?? chart.x ?? "t"), column(line.column)];
        if (!xs?.length || !ys?.length || (nth && line.look === "dots")) continue;
        const color = token(line.color ?? "c1");
        const entry = { nth, line, label: nth ? `${line.label}, ${source.name}` : line.label, color, series: [series.length + 1], values: ys };
        const more = nth ? { width: 1.5, dash: [2, 3], fill: undefined } : {};
        series.push(drawn(line, nth ? color + "b0" : color, xs.length > MANY, { ...more, spanGaps: Boolean(line.spans || line.x || nth || chart.along !== "time" && chart.along) }));
        tables.push([xs, ys]);
        entry.dashed = Boolean(series.at(-1).dash);
        const [low, high] = [column(`${line.column}.low`), column(`${line.column}.high`)];
        if (low && !nth) {
          for (const part of [high, low]) {
            entry.series.push(series.length + 1);
            series.push({ label: "", stroke: "transparent", width: 0, points: { show: false }, scale: series.at(-1).scale });
            tables.push([xs, part]);
          }
          Object.assign(entry, { low, high });
          bands.push({ series: [series.length - 1, series.length], fill: color + "30" });
        }
        entries.push(entry);
      }
    });
    if (!tables.length) return null;
    for (const entry of entries) {
      const other = !entry.nth && entry.line.to && entries.find((one) => one.line.column === entry.line.to);
      if (other) {
        bands.push({ series: [entry.series[0], other.series[0]], fill: token("warn") + "2e" });
        entry.between = [entry.series[0], other.series[0], entry.line.between];
      }
    }
    return { columns: joined(tables), series, entries, bands, scales: { y: log ? { distr: 3 } : { range: yRange(chart) } } };
  }
  const yRange = (chart) => (chart.is_signed ? (u, low, high) => [Math.min(low, 0) * 1.08 || 0, high * 1.08] : (u, low, high) => {
    const near = (chart.limits ?? []).map((one) => one.value).filter((value) => value < 2.5 * high && chart.limits[0].across !== "x");
    return fromZero(chart.least_top)(u, low, Math.max(high, ...near));
  });

  // Stacked: each kind is drawn as the sum of itself and those below it, the whole first.
  function stack(chart, data, view) {
    const column = columnsOf(data, chart, view);
    const known = (chart.lines ?? []).filter((line) => column(line.column)?.length);
    if (!known.length) return null;
    const sums = known.map((_, i) => data.t.map((_, at) => known.slice(0, i + 1).reduce((sum, one) => sum + (column(one.column)[at] ?? 0), 0) || null));
    const bars = uPlot.paths.bars({ size: [0.95, 60] });
    const series = known.map((line) => drawn(line, token(line.color), false, { fill: token(line.color), width: 0, paths: bars }));
    const entries = known.map((line, i) => ({ line, label: line.label, color: token(line.color), series: [known.length - i], values: column(line.column), fixed: true }));
    const all = [data.t, ...sums.reverse()];
    series.reverse();
    const others = Object.entries(data.other?.columns ?? {}).filter(([name]) => name.startsWith("errors "));
    if (others.length) {
      const sum = data.other.t.map((_, at) => others.reduce((sum, [, column]) => sum + (column[at] ?? 0), 0));
      const line = { look: "thin", label: `all, ${data.other.name}` };
      entries.push({ line, label: line.label, color: token("text"), dashed: true, series: [series.length + 1], values: sum });
      series.push({ ...drawn(line, token("text"), false, { dash: [2, 3] }), spanGaps: true });
      return { columns: joined([all, [data.other.t, sum]]), series, entries, bands: [], scales: { y: { range: yRange(chart) } } };
    }
    return { columns: all, series, entries, bands: [], scales: { y: { range: yRange(chart) } } };
  }

  // A heat map: a column a bin of time, a row a tenth of a decade of times, the colour the count on a log scale.
  function heat(chart, data, view) {
    const place = placeOf(data, chart, view);
    const columns = data.views?.[place]?.heat[chart.lines[0].column];
    // Maps that stand side by side have the same scale: those of both clocks, and of both targets.
    const alike = (data.views ?? []).filter((one, i) => i === place || (chart.view && one.kind === data.views[place]?.kind));
    const every = alike.flatMap((one) => Object.values(one.heat).flat()).filter((one) => one.length);
    if (!columns || !every.length) return null;
    const [least, most] = [Math.min(...every.map((one) => one[0])), Math.max(...every.map((one) => one[0] + one.length - 1))];
    const edge = (row) => data.heat.low_ms * 10 ** (row / data.heat.per_decade);
    const top = every.reduce((top, one) => Math.max(top, ...one.slice(1)), 1);
    const stops = convload.heatStops();
    const colorOf = (count) => stops[Math.min(stops.length - 1, Math.floor((Math.log(count) / Math.log(top + 1e-9) || 0) * stops.length))];
    const paint = (u) => {
      const half = data.bin_s / 2;
      u.ctx.save();
      u.ctx.beginPath();
      u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      u.ctx.clip();
      const ys = Array.from({ length: most - least + 1 }, (_, i) => Math.round(u.valToPos(edge(least + i), "y", true)));
      columns.forEach(([first, ...counts], at) => {
        if (first == null) return;
        const [from, to] = [data.t[at] - half, data.t[at] + half].map((s) => Math.round(u.valToPos(s, "x", true)));
        counts.forEach((count, i) => {
          if (!count) return;
          u.ctx.fillStyle = colorOf(count);
          const [y, below] = [ys[first - least + i + 1], ys[first - least + i]];
          u.ctx.fillRect(from, y, Math.max(to - from, 1), below - y);
        });
      });
      u.ctx.restore();
    };
    const bounds = data.t.map((_, at) => (columns[at].length ? edge(columns[at][0]) : null));
    const entries = [];
    const all = [[data.t, bounds]];
    const series = [{ stroke: "transparent", width: 0, points: { show: false } }];
    // Another run lies over it as its median and p99.
    for (const [name, color] of [["p50", "text"], ["p99", "fail"]]) {
      const ys = data.other && columnsOf(data.other, chart, sameView(data, data.other, place))(name);
      if (!ys?.length || !data.other.t?.length || ys.length !== data.other.t.length) continue;
      const line = { look: "thin", label: `${name}, ${data.other.name}` };
      entries.push({ line, label: line.label, color: token(color), dashed: true, series: [series.length + 1], values: ys });
      series.push({ ...drawn(line, token(color), false, { dash: [2, 3] }), spanGaps: true });
      all.push([data.other.t, ys]);
    }
    const cell = (x, ms) => {
      const at = Math.floor(x / data.bin_s);
      const row = Math.floor(data.heat.per_decade * Math.log10(ms / data.heat.low_ms));
      const [first, ...counts] = columns[at] ?? [];
      const all = counts.reduce((sum, one) => sum + one, 0);
      return { from: edge(row), to: edge(row + 1), count: counts[row - first] ?? 0, all };
    };
    return {
      each: (act) => columns.forEach(([first, ...counts], at) => counts.forEach((count, i) => count && act(data.t[at], edge(first + i), edge(first + i + 1), count))),
      columns: joined(all), series, bands: [], paint, cell, top, stops, entries, scales: { y: { distr: 3, range: [edge(least), edge(most)] } },
    };
  }

  convload.heatStops = () => Array.from({ length: 9 }, (_, i) => token(`h${i}`));
  convload.kinds = { lines, stack, heat };
  Object.assign(convload, { placeOf, ALONG, axis, yAxis, fromZero, columnsOf, spread });
})();
