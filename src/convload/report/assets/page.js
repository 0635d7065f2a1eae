"use strict";
// Brings a page to life: draws the charts that its data declare, each in its place.
(() => {
  const { root, draw, look, element, unpacked } = convload;
  const holder = document.getElementById("data");
  root.classList.add("js");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  for (const { heat } of [data, data.other].flatMap((run) => run?.views ?? [])) {
    for (const clock of Object.keys(heat ?? {})) heat[clock] = unpacked(heat[clock]);
  }

  // The charts of a run are of one step, variant or target at a time.
  const toolbar = document.querySelector("[data-views]");
  if (toolbar && data.views?.length > 1 && data.charts.some((one) => one.by_view)) {
    const select = element("select", { id: "view", onchange: () => look(Number(select.value)) });
    const groups = { step: "Steps", target: "Targets", variant: "Variants of conversation.create" };
    for (const [kind, label] of Object.entries(groups)) {
      const group = element("optgroup", { label });
      data.views.forEach((one, i) => one.kind === kind && group.append(element("option", { value: i, textContent: one.name })));
      if (group.children.length) select.append(group);
    }
    toolbar.append(element("label", { htmlFor: "view", textContent: "Times of " }), select);
  }
  for (const declaration of data.charts ?? []) {
    const container = document.querySelector(`[data-chart="${CSS.escape(declaration.name)}"]`);
    if (container) draw(container, declaration, data);
  }
})();
