// Every table of a page sorts by a click on its head, or a key, and longer ones filter by a word.
(() => {
  "use strict";
  const collator = new Intl.Collator(undefined, { numeric: true });

  // What a cell sorts by: the number that it begins with ("0.97 (0.96 to 0.98)", "x 0.45", "< 0.01")
  function number(text) {
    const found = /^[<>x\s]*([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?=$|[\s%)=*(])/i.exec(text);
    return found ? parseFloat(found[1].replaceAll(",", "")) : NaN;
  }

  function compare(one, other) {
    if (!one || !other) return one === other ? 0 : one ? -1 : 1; // empty ones last, either way
    const [a, b] = [number(one), number(other)];
    if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
    if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
    return collator.compare(one, other);
  }

  function sort(table, column) {
    const head = table.tHead.rows[0].cells[column];
    const down = head.ariaSort === "ascending" || head.getAttribute("aria-sort") === "ascending";
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const text = (row) => row.cells[column].textContent.trim();
    const rows = [...table.tBodies[0].rows].sort((one, other) => {
      const [a, b] = [text(one), text(other)];
      return !a || !b ? compare(a, b) : down ? compare(b, a) : compare(a, b);
    });
    table.tBodies[0].append(...rows);
  }

  function sortable(table) {
    [...table.tHead.rows[0].cells].forEach((cell) => {
      if (!cell.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorts";
      button.append(...cell.childNodes);
      button.addEventListener("click", () => sort(table, cell.cellIndex));
      cell.append(button);
    });
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 5) return;
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    label.className = "filter played";
    input.type = "search";
    label.append("only rows with ", input, count);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? ` ${shown} of ${rows.length}` : "";
    });
    (table.closest(".wide") ?? table).before(label);
  }

  for (const table of document.querySelectorAll("table")) {
    if (table.tHead && table.tBodies.length === 1) {
      sortable(table);
      filterable(table);
    }
  }
})();
