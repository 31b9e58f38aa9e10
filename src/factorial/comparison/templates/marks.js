// Over the figures that stay as they are drawn: who points at a mark is told of it as on a chart, and
// around what is chosen there are rings.
(() => {
  "use strict";
  const MOST = 6; // settings that are told of one mark
  const URLS = new Map(page.runs.map((run) => [run.run, run.url]));
  const cells = new Map(page.cells.map((cell) => [cell.s, cell]));
  const layers = []; // each with what its figure shows, and where

  function drawn(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function overlay(name, marks) {
    const image = document.querySelector(`#${name} img`);
    const rings = drawn("g", {});
    const areas = marks.map((mark) => area(mark, name === "charts"));
    const layer = drawn("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none",
                                 "aria-hidden": "true" }, ...areas, rings);
    const both = page.element("div", { class: "marked" });
    image.replaceWith(both);
    both.append(image, layer);
    page.tells(both.closest(".wide"), ".area");
    layers.push([rings, marks]);
  }

  function area({ of, box: [x, y, width, height] }, hasBars) {
    const made = drawn("rect", { x, y, width, height, class: "area" });
    made.addEventListener("pointermove", (event) => page.say(event, told(of, hasBars)));
    made.addEventListener("pointerleave", (event) => page.say(event, null));
    const url = of.length === 1 ? URLS.get(page.settings[of[0]].best) : null;
    if (url) made.addEventListener("click", () => window.open(url, "_blank", "noopener"));
    made.classList.toggle("leads", Boolean(url));
    return made;
  }

  function told(of, hasBars) {
    const each = of.map((s) => page.settings[s]);
    const [one] = each;
    if (each.length === 1) {
      const bars = hasBars ? page.charts.map.usermeta.scores.slice(1) : []; // the first is told
      const values = bars.map(([key, words]) => [words, cells.get(one.s)?.[`text_${key}`] ?? ""]);
      return { setting: one.label, [page.measure]: one.told, ...Object.fromEntries(values),
               run: one.best ?? "" };
    }
    const mean = each.reduce((sum, { mean }) => sum + mean, 0) / each.length;
    const some = each.slice(0, MOST).map((setting) => [setting.label, setting.told]);
    const more = each.length > MOST ? { [`and more ${page.things}`]: each.length - MOST } : {};
    return { [`mean of ${each.length} ${page.things}`]: mean.toPrecision(4), ...Object.fromEntries(some),
             ...more };
  }

  // Around one mark, a ring around the other where several that are chosen share its place, be it
  // as one mark or as several
  function rings({ of, box }, colors, taken) {
    const [x, y, width, height] = box;
    return [...colors.keys()].filter((s) => of.includes(s)).map((s) => {
      const turn = taken.get(box.join()) ?? 0;
      taken.set(box.join(), turn + 1);
      const more = 0.3 * Math.min(turn, 5);
      return drawn("rect", {
        x: x - more * width, y: y - more * height,
        width: (1 + 2 * more) * width, height: (1 + 2 * more) * height,
        class: "ring", stroke: colors.get(s), "data-setting": s,
      });
    });
  }

  for (const [name, marks] of Object.entries(page.marks)) overlay(name, marks);
  page.ringed = (colors) => { // of each setting that is chosen
    for (const [layer, marks] of layers) {
      const taken = new Map(); // rings by their place
      layer.replaceChildren(...marks.flatMap((mark) => rings(mark, colors, taken)));
    }
  };
})();
