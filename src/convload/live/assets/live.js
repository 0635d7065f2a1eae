"use strict";
// Fills the page of a run that goes on, from the events of the server that the page came from.
(() => {
  const { root, element, draw, update, look, clock, number, withUnit } = convload;
  const at = (id) => document.getElementById(id);
  const text = (id, value) => { at(id).textContent = value; };
  root.classList.add("js");

  // -- what the run is doing --

  function showState(state) {
    root.dataset.elapsed = state.elapsed_s;
    text("progress-title", state.ended ? "Ended" : state.stage || (state.elapsed_s ? "Running" : "Waiting for the start"));
    const { elapsed_s: now, ends_s: end } = state;
    if (end) Object.assign(at("progress"), { max: end, value: Math.min(now, end) });
    else if (!state.ended) at("progress").removeAttribute("value");
    text("time", end ? `${clock(now)} of ${clock(end)}, ${clock(Math.max(end - now, 0))} left` : clock(now));
    at("tiles").replaceChildren(...state.tiles.map(([name, figure, unit, more]) =>
      element("div", {}, element("dt", { textContent: name }),
        element("dd", {}, figure, ...(unit ? [" ", element("span", { className: "unit", textContent: unit })] : [])),
        element("dd", { className: "more", textContent: more }))));
    at("generator").replaceChildren(...state.generator.map(([name, value]) =>
      element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }))));
    at("remarks").replaceChildren(...state.remarks.map((one) => element("li", { textContent: one })));
    showGates(state);
    showControls(state);
    if (state.ended) root.dataset.ended = "yes";
    at("report").hidden = !state.reported;
  }

  function showGates({ gates, gates_note: note }) {
    text("gates-note", note);
    at("gates").replaceChildren(...gates.map((gate) => {
      const figure = (value) => (value == null ? "–" : number(value));
      const unit = gate.unit && gate.value != null ? gate.unit : "";
      return element("tr", { title: gate.message },
        element("th", { scope: "row" }, element("code", { textContent: gate.gate })),
        element("td", { className: gate.state.replace(" ", "-"), textContent: gate.state + (gate.decided ? " (decided)" : "") }),
        element("td", { className: "figure", textContent: gate.value == null ? "–" : withUnit(gate.value, unit) }),
        element("td", { className: "figure", textContent: gate.low == null && gate.high == null ? "–" : `${figure(gate.low)} to ${figure(gate.high)}` }));
    }));
  }

  // -- what a person may do --

  function showControls({ refusals, load, ended }) {
    for (const [name, why] of Object.entries(refusals)) {
      const button = at(name === "load" ? "set-load" : name);
      Object.assign(button, { disabled: Boolean(why) || ended, title: why });
    }
    at("load-label").hidden = at("set-load").hidden = !load;
    if (!load) return;
    text("load-unit", load.unit);
    at("load").step = load.unit === "users" ? 1 : "any";
    if (!at("load").value) at("load").value = load.now;
  }

  async function wish(what) {
    const answer = await fetch("wishes", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) })
      .catch(() => null);
    text("answer", answer ? await answer.text() : "The run does not answer; it may have ended.");
  }
  at("stop").onclick = () => wish({ do: "stop" });
  at("end_stage").onclick = () => wish({ do: "end_stage" });
  at("extend").onclick = () => wish({ do: "extend" });
  at("set-load").onclick = () => wish({ do: "load", value: Number(at("load").value) });
  at("load").onkeydown = (event) => { if (event.key === "Enter") at("set-load").click(); };

  // -- charts --

  let declared = "";
  let views = [];
  let chosen = null;

  function showCharts({ charts, data }) {
    if (data) {
      if (declared) update(data);
      showViews(data);
    }
    if (!charts || JSON.stringify(charts) === declared) return;
    declared = JSON.stringify(charts);
    // Charts that appear take their places; those that are there keep what the reader has chosen in them.
    for (const declaration of charts) {
      const there = convload.charts.find((one) => one.declaration.name === declaration.name);
      if (there) { there.declaration = declaration; continue; }
      if (declaration.otherwise || !data) continue;
      const place = element("div");
      place.dataset.chart = declaration.name;
      const title = element("h3", { id: `${declaration.name}-title`, textContent: declaration.title + " " }, element("span", { className: "unit", textContent: declaration.unit ?? "" }));
      const figure = element("figure", {}, title, element("figcaption", { textContent: declaration.note ?? "" }), place);
      figure.setAttribute("aria-labelledby", title.id);
      at("charts").append(figure);
      draw(place, declaration, data);
    }
  }

  function showViews(data) {
    const names = data.views.map((one) => `${one.kind} ${one.name}`);
    if (names.join("\n") === views.join("\n")) return;
    views = names;
    at("view").replaceChildren(...data.views.map((one, i) => element("option", { value: i, textContent: one.name })));
    const again = Math.max(names.indexOf(chosen), 0);
    at("view").value = again;
    chosen = names[again];
    look(again);
  }
  at("view").onchange = () => {
    chosen = views[Number(at("view").value)];
    look(Number(at("view").value));
  };

  const source = new EventSource("events");
  source.addEventListener("state", (event) => showState(JSON.parse(event.data)));
  source.addEventListener("charts", (event) => showCharts(JSON.parse(event.data)));
  source.addEventListener("end", () => { source.close(); root.dataset.closed = "yes"; });
})();
