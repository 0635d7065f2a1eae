"use strict";
// Tables that a reader can sort by a click on a head and, where they are long, filter; commands that can be copied.
(() => {
  const { element } = convload;
  const LONG = 8;
  const figure = (text) => {
    const found = text.replaceAll(",", "").replaceAll("−", "-").match(/^[<>+\s]*(-?\d+(?:\.\d+)?)/);
    return found ? Number(found[1]) : null;
  };
  const said = (row, at) => row.cells[at]?.textContent.trim() ?? "";

  function order(at, up) {
    return (a, b) => {
      const [one, other] = [said(a, at), said(b, at)];
      const [x, y] = [figure(one), figure(other)];
      // What was not measured stands last, whichever way.
      if ((x == null) !== (y == null)) return x == null ? 1 : -1;
      const apart = x == null ? one.localeCompare(other) : x - y;
      return up ? apart : -apart;
    };
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      if (!head.textContent.trim() || head.classList.contains("bar")) return;
      const label = head.lastChild;
      const button = element("button", { type: "button", className: "sort", title: "Sort" }, label.textContent.trim());
      label.replaceWith(button);
      button.onclick = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const one of heads) one.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        body.append(...[...body.rows].sort(order(at, up)));
      };
    });
  }

  function filterable(table) {
    const input = element("input", { type: "search", placeholder: "filter", className: "filter" });
    input.setAttribute("aria-label", `Filter ${table.caption?.textContent ?? "rows"}`);
    input.oninput = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    };
    table.parentElement.before(input);
  }

  for (const table of document.querySelectorAll("main table")) {
    const rows = table.tBodies[0]?.rows.length ?? 0;
    if (rows > 1) sortable(table);
    if (rows > LONG) filterable(table);
  }
  // Two runs that are ticked are compared, the earlier as the base: by the server of the page, or by a command.
  const compare = document.querySelector("[data-compare]");
  const plain = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  function ticked() {
    const boxes = [...document.querySelectorAll("main td input:checked, main th input:checked")];
    const said = boxes.length === 1 ? "Tick one more." : "Tick two runs to compare them.";
    compare.textContent = boxes.length > 2 ? "Tick two runs, no more." : said;
    if (boxes.length !== 2) return;
    // The newest stand first until the table is sorted otherwise.
    const order = (box) => box.closest("tr").dataset.place;
    const [base, now] = boxes.sort((a, b) => order(b) - order(a)).map((box) => box.value);
    if (compare.dataset.compare) {
      const href = `${compare.dataset.compare}?base=${encodeURIComponent(base)}&new=${encodeURIComponent(now)}`;
      compare.replaceChildren(element("a", { href, textContent: `Compare ${base} with ${now}` }));
    } else {
      const words = ["convload", "compare", ...[base, now].map((one) => plain(`${compare.dataset.root}/${one}`))];
      const code = element("code", { className: "command", textContent: words.join(" ") });
      const button = element("button", { type: "button", textContent: "copy" });
      button.onclick = () => convload.copy(code.textContent, button);
      compare.replaceChildren(code, button);
    }
  }
  if (compare) {
    document.querySelectorAll("main tbody tr").forEach((row, i) => { row.dataset.place = i; });
    for (const box of document.querySelectorAll("main tbody input")) box.onchange = ticked;
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.onclick = () => convload.copy(button.previousElementSibling.textContent, button);
  }
})();
