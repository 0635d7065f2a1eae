"use strict";
// Draws a chart in its place on the page, and all that goes with it: legend, tooltip, keyboard, copying, pictures.
//   convload.draw(container, declaration, data)   draws, and returns the chart
//   convload.update(data)                         draws all charts of the page anew; with `keep` goes on from there
//   convload.look(view)                           shows another step, variant or target
(() => {
  const { root, token, withUnit, element, ALONG, kinds } = convload;
  const charts = [];
  let [current, view] = [null, 0];
  root.dataset.chartsDrawn = 0;

  function draw(container, declaration, data) {
    const chart = { container, declaration, hidden: new Set(), log: null };
    current = data;
    charts.push(chart);
    frame(chart);
    paint(chart);
    return chart;
  }

  // The parts around the plot are made once.
  function frame(chart) {
    const { container, declaration: { title } } = chart;
    container.classList.add("chart");
    chart.place = element("div", { className: "plot", tabIndex: 0 });
    chart.place.setAttribute("role", "group");
    chart.place.setAttribute("aria-roledescription", "chart");
    chart.tip = element("div", { className: "tip", hidden: true });
    chart.legend = element("div", { className: "legend" });
    chart.said = element("p", { className: "hidden" });
    chart.said.setAttribute("aria-live", "polite");
    const button = (text, act) => element("button", { type: "button", textContent: text, title: `${text}: ${title}`, onclick: act });
    chart.scale = button("log scale", () => { chart.log = !chart.log; paint(chart); });
    chart.copied = button("copy data", () => copy(table(chart), chart.copied));
    const actions = element("div", { className: "actions" }, ...(chart.declaration.can_log ? [chart.scale] : []),
      chart.copied, button("PNG", () => save(chart)));
    container.replaceChildren(chart.place, chart.legend, actions, chart.said);
    chart.place.addEventListener("keydown", (event) => key(chart, event));
    chart.place.addEventListener("blur", () => { chart.tip.hidden = true; });
  }

  const size = (chart) => ({ width: chart.place.clientWidth + 6, height: 230 });

  function paint(chart) {
    const { declaration, place } = chart;
    const kind = declaration.kind ?? "lines";
    chart.log ??= declaration.can_log ? convload.spread((declaration.lines ?? []).map((line) => convload.columnsOf(current, declaration, view)(line.column) ?? [])) : false;
    const zoom = chart.plot && chart.zoomed ? { ...chart.plot.scales.x } : null;
    chart.plot?.destroy();
    chart.plot = null;
    const made = (chart.made = kinds[kind](declaration, current, view, chart.log));
    chart.container.classList.toggle("empty-chart", !made);
    if (!made) return place.replaceChildren(element("p", { className: "empty", textContent: "Nothing of this was measured here." }));
    place.replaceChildren();
    const linked = (declaration.along ?? "time") === "time";
    const along = (chart.along = ALONG[declaration.along ?? "time"](current, made.columns[0]));
    const limits = limitsOf(chart);
    chart.plot = new uPlot({
      ...size(chart),
      legend: { show: false }, padding: [10, 18, 0, 0],
      cursor: {
        y: kind === "heat", points: { size: 6, show: kind === "lines" }, drag: { x: true, y: false },
        ...(linked ? { sync: { key: "time", scales: ["x", null] } } : {}),
      },
      hooks: {
        drawClear: [(u) => declaration.band && convload.band(u, declaration.band), (u) => current.marks && linked && convload.shade(u, current.marks)],
        drawAxes: [(u) => made.paint?.(u), (u) => current.marks && linked && convload.names(u, current.marks), (u) => declaration.changes && convload.changes(u, declaration.changes)],
        draw: [
          (u) => convload.limits(u, limits),
          (u) => made.entries.forEach((one) => one.between && convload.between(u, ...one.between)),
        ],
        setCursor: [() => hover(chart)],
        setScale: [(u, name) => name === "x" && follow(chart)],
      },
      scales: { x: along.scale, ...(declaration.right ? { right: { range: convload.fromZero() } } : {}), ...made.scales },
      axes: [along.axis, convload.yAxis(), ...(declaration.right ? [convload.yAxis({ scale: "right", side: 1, grid: { show: false }, size: 44 })] : [])],
      series: [{}, ...made.series], bands: made.bands,
    }, made.columns, place);
    place.querySelector(".u-over").append(chart.tip);
    chart.scale.setAttribute("aria-pressed", Boolean(chart.log));
    for (const entry of made.entries) if (chart.hidden.has(entry.label)) show(chart, entry, false);
    legend(chart);
    describe(chart);
    if (zoom) chart.plot.setScale("x", zoom);
    root.dataset.chartsDrawn = charts.filter((one) => one.plot).length;
  }

  function limitsOf({ declaration }) {
    const seen = current.views?.[view];
    const here = seen && `${seen.kind} ${seen.name}`;
    return (declaration.limits ?? []).filter((one) => !one.place || !declaration.by_view || one.place === here);
  }

  // Charts over time show the same stretch.
  let following = false;
  function follow(chart) {
    if (following || !chart.plot || (chart.declaration.along ?? "time") !== "time") return;
    const { min, max } = chart.plot.scales.x;
    const xs = chart.plot.data[0];
    following = true;
    for (const one of charts) {
      if ((one.declaration.along ?? "time") !== "time" || !one.plot) continue;
      one.zoomed = min > xs[0] || max < xs.at(-1);
      if (one !== chart && (one.plot.scales.x.min !== min || one.plot.scales.x.max !== max)) one.plot.setScale("x", { min, max });
    }
    root.dataset.zoomed = Boolean(chart.zoomed);
    following = false;
  }

  function swatch({ color, dashed, line }) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("viewBox", "0 0 18 8");
    made.setAttribute("class", "swatch");
    made.setAttribute("aria-hidden", "true");
    const dots = ["dots", "spots"].includes(line.look);
    const part = document.createElementNS("http://www.w3.org/2000/svg", dots ? "circle" : "line");
    const attributes = dots ? { cx: 9, cy: 4, r: 3, fill: color } : { x1: 0, x2: 18, y1: 4, y2: 4, stroke: color, "stroke-width": 3, ...(dashed ? { "stroke-dasharray": "5 3" } : {}) };
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    made.append(part);
    return made;
  }

  function show(chart, entry, on) {
    for (const at of entry.series) chart.plot.setSeries(at, { show: on });
    chart.hidden[on ? "delete" : "add"](entry.label);
  }

  function legend(chart) {
    const { made } = chart;
    chart.legend.replaceChildren(...(made.cell ? heatKey(made) : []), ...made.entries.map((entry) => {
      if (entry.fixed) return element("span", {}, swatch(entry), entry.label);
      const button = element("button", { type: "button", title: `Show or hide ${entry.label}` }, swatch(entry), entry.label);
      button.setAttribute("aria-pressed", !chart.hidden.has(entry.label));
      button.onclick = () => {
        show(chart, entry, chart.hidden.has(entry.label));
        button.setAttribute("aria-pressed", !chart.hidden.has(entry.label));
      };
      return button;
    }));
  }
  function heatKey({ stops, top }) {
    const strip = element("canvas", { width: stops.length * 12, height: 10 });
    strip.setAttribute("aria-hidden", "true");
    stops.forEach((color, i) => { const c = strip.getContext("2d"); c.fillStyle = color; c.fillRect(i * 12, 0, 12, 10); });
    return [element("span", {}, "1 ", strip, ` ${top.toLocaleString("en")} requests`)];
  }

  // Each line may have points of its own: the nearest of each counts.
  function nearest(column, at) {
    for (let d = 0; d < column.length; d++) {
      if (column[at - d] != null) return at - d;
      if (column[at + d] != null) return at + d;
    }
    return null;
  }

  function valuesAt(chart, at) {
    const { made, plot } = chart;
    const sparse = made.columns[0].length !== made.entries[0]?.values.length;
    return made.entries.filter((entry) => !chart.hidden.has(entry.label)).map((entry) => {
      const column = plot.data[entry.series[0]];
      const place = sparse ? nearest(column, at) : at;
      const value = sparse ? column[place] : entry.values[at];
      const unit = entry.line.unit ?? chart.declaration.unit;
      const spread = entry.low?.[at] != null && entry.high[at] !== entry.low[at] ? ` (${convload.number(entry.low[at])} to ${convload.number(entry.high[at])})` : "";
      return { entry, text: withUnit(value, unit) + spread };
    });
  }

  function hover(chart) {
    const { plot, tip, made } = chart;
    const { idx, left, top } = plot.cursor;
    if (idx == null || left < 0) { tip.hidden = true; return; }
    const rows = made.cell ? heatRows(chart, idx, top) : valuesAt(chart, idx).map(({ entry, text }) => element("div", {}, swatch(entry), `${entry.label} `, element("b", { textContent: text })));
    const stage = stageAt(chart, plot.data[0][idx]);
    tip.replaceChildren(element("div", { className: "when", textContent: chart.along.say(plot.data[0][idx]) + stage }), ...rows);
    tip.hidden = false;
    const over = plot.over.clientWidth;
    const x = left + 14 + tip.offsetWidth > over ? Math.max(0, left - 14 - tip.offsetWidth) : left + 14;
    tip.style.transform = `translate(${x}px, 4px)`;
  }
  function stageAt(chart, s) {
    if ((chart.declaration.along ?? "time") !== "time" || !current.marks) return "";
    const names = [current.marks.stages.findLast((one) => one.from_s <= s)?.name, ...current.marks.shades.filter((one) => one.name && one.from_s <= s && s < one.to_s).map((one) => one.name), ...new Set(current.marks.shades.filter((one) => one.gate && one.from_s <= s && s < one.to_s).map((one) => one.gate))];
    return names.filter(Boolean).map((name) => `, ${name}`).join("");
  }
  function heatRows({ made, plot }, at, top) {
    const { count, from, to, all } = made.cell(plot.data[0][at], plot.posToVal(top < 0 ? plot.over.clientHeight / 2 : top, "y"));
    const share = all ? ` of ${all.toLocaleString("en")}` : "";
    return [element("div", {}, `${withUnit(from)} to ${withUnit(to, "ms")}: `, element("b", { textContent: count.toLocaleString("en") }), share)];
  }

  // With the keyboard: arrows move the cursor, + and - zoom, 0 or Escape goes back.
  function key(chart, event) {
    const { plot } = chart;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const xs = plot.data[0];
    const { min, max } = plot.scales.x;
    const visible = xs.map((x, i) => i).filter((i) => xs[i] >= min && xs[i] <= max);
    const at = plot.cursor.idx ?? visible[0];
    const middle = xs[at] ?? (min + max) / 2;
    const moves = {
      ArrowLeft: () => move(chart, Math.max(visible[0], at - 1)), ArrowRight: () => move(chart, Math.min(visible.at(-1), at + 1)),
      PageUp: () => move(chart, Math.max(visible[0], at - 10)), PageDown: () => move(chart, Math.min(visible.at(-1), at + 10)),
      Home: () => move(chart, visible[0]), End: () => move(chart, visible.at(-1)),
      "+": () => visible.length > 4 && plot.setScale("x", { min: middle - (middle - min) / 2, max: middle + (max - middle) / 2 }),
      "-": () => plot.setScale("x", { min: Math.max(xs[0], middle - 2 * (middle - min)), max: Math.min(xs.at(-1), middle + 2 * (max - middle)) }),
      0: () => whole(plot), Escape: () => { whole(plot); chart.tip.hidden = true; },
    };
    const act = moves[event.key === "=" ? "+" : event.key === "−" ? "-" : event.key];
    if (!act || !visible.length) return;
    event.preventDefault();
    act();
  }
  const whole = (plot) => plot.setScale("x", { min: plot.data[0][0], max: plot.data[0].at(-1) });
  function move(chart, at) {
    const { plot } = chart;
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: plot.over.clientHeight / 2 });
    chart.said.textContent = chart.tip.innerText.replaceAll("\n", ", ");
  }

  // What a chart says, in words: the range of each line, and where its highest value is.
  function summary(chart) {
    const { made, along, declaration: { unit } } = chart;
    if (made.cell) return `${made.columns[0].length} columns of time; up to ${made.top} requests in a field.`;
    return made.entries.map((entry) => {
      const column = chart.plot.data[entry.series[0]];
      let [low, high, at] = [Infinity, -Infinity, 0];
      (entry.fixed ? entry.values : column).forEach((v, i) => {
        if (v == null) return;
        if (v < low) low = v;
        if (v > high) [high, at] = [v, i];
      });
      const u = entry.line.unit ?? unit;
      return high === -Infinity ? `${entry.label}: nothing` : `${entry.label}: ${withUnit(low, u)} to ${withUnit(high, u)}, highest at ${along.say(chart.plot.data[0][at])}`;
    }).join("; ") + ".";
  }
  function describe(chart) {
    const { declaration, plot } = chart;
    const seen = declaration.by_view && current.views?.[view] ? ` (${current.views[view].name})` : "";
    const text = `${declaration.title}${seen}. ${declaration.note ?? ""} ${summary(chart)}`;
    chart.place.setAttribute("aria-label", text);
    plot.ctx.canvas.setAttribute("aria-hidden", "true");
  }

  // A chart's data as a spreadsheet reads it: a column a line, tabs between.
  function table(chart) {
    const { made, plot, declaration } = chart;
    if (made.cell) return heatTable(chart);
    const columns = made.entries.flatMap((entry) => (entry.fixed ? [[entry.label, entry.values]] : [[entry.label, plot.data[entry.series[0]]], ...(entry.low ? [[`${entry.label} lowest`, entry.low], [`${entry.label} highest`, entry.high]] : [])]));
    const head = [{ time: "s", percent: "1/(1-p)", log: "ms", run: "run", number: "x" }[declaration.along ?? "time"], ...columns.map(([label]) => label)];
    return [head, ...plot.data[0].map((x, i) => [x, ...columns.map(([, values]) => values[i] ?? "")])].map((row) => row.join("\t")).join("\n") + "\n";
  }
  function heatTable({ made }) {
    const rows = ["s\tfrom ms\tto ms\trequests"];
    made.each((at, from, to, count) => rows.push([at, from, to, count].join("\t")));
    return rows.join("\n") + "\n";
  }

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    root.dataset.copied = text.length;
    const before = button.dataset.text ??= button.textContent;
    button.textContent = "copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  // A picture has the title above the plot, on the ground of the page.
  function picture(chart) {
    const { canvas } = chart.plot.ctx;
    const [scale, high] = [devicePixelRatio, 46];
    const made = element("canvas", { width: canvas.width + 20 * scale, height: canvas.height + high * scale });
    const c = made.getContext("2d");
    c.fillStyle = token("panel");
    c.fillRect(0, 0, made.width, made.height);
    c.fillStyle = token("text");
    c.font = `600 ${14 * scale}px system-ui, sans-serif`;
    const { title, unit } = chart.declaration;
    c.fillText(`${title}${unit ? ` (${unit})` : ""} – ${document.querySelector("h1")?.textContent ?? ""}`, 12 * scale, 20 * scale);
    c.font = `${12 * scale}px system-ui, sans-serif`;
    let x = 12 * scale;
    for (const entry of chart.made.entries) {
      if (chart.hidden.has(entry.label)) continue;
      c.fillStyle = entry.color;
      c.fillRect(x, 33 * scale, 12 * scale, 4 * scale);
      c.fillStyle = token("muted");
      c.fillText(entry.label, x + 16 * scale, 39 * scale);
      x += c.measureText(entry.label).width + 32 * scale;
    }
    c.drawImage(canvas, 10 * scale, high * scale);
    return made;
  }
  function save(chart) {
    picture(chart).toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: `${chart.declaration.name}.png` });
      link.click();
      root.dataset.saved = `${link.download} ${blob.size}`;
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  function update(data) {
    current = data.keep == null ? data : merged(current, data);
    for (const chart of charts) paint(chart);
  }
  // Columns go on where those that are here are kept to; whatever else there is, is new.
  function merged(old, data) {
    const on = (before, now) => Object.fromEntries(Object.entries(now).map(([name, column]) => {
      const kept = (before?.[name] ?? []).slice(0, data.keep);
      return [name, [...kept, ...Array(data.keep - kept.length).fill(null), ...column]];
    }));
    const views = data.views.map((one) => {
      const before = old.views.find((other) => other.kind === one.kind && other.name === one.name);
      const heat = on(before?.heat, one.heat);
      for (const column of Object.values(heat)) column.forEach((cell, i) => { column[i] ??= []; });
      return { ...one, columns: on(before?.columns, one.columns), heat };
    });
    return { ...data, t: [...old.t.slice(0, data.keep), ...data.t], columns: on(old.columns, data.columns), views };
  }

  function look(number) {
    view = number;
    for (const chart of charts) if (chart.declaration.by_view) paint(chart);
  }

  // Resized after the observer has returned: a legend that wraps would otherwise set it off again.
  const fit = (chart) => chart.plot && (size(chart).width === chart.plot.width || chart.plot.setSize(size(chart)));
  new ResizeObserver(() => requestAnimationFrame(() => charts.forEach(fit))).observe(document.documentElement);
  const repaint = () => charts.forEach(paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  addEventListener("beforeprint", () => charts.forEach(fit));

  Object.assign(convload, { draw, update, look, copy, table, picture, charts });
})();
