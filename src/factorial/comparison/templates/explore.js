// Charts in place of the drawn figures, and settings that are chosen in all of them at once.
const page = JSON.parse(document.getElementById("document").textContent);

(() => {
  "use strict";
  const COLORS = ["#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#0072B2"];
  const views = {};
  const chosen = [];
  const boxes = new Map(); // of a setting's place: its checkboxes
  const layers = []; // over the figures that stay as they are drawn, and where these show what
  window.explored = { views, chosen };

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }
  page.element = element;

  for (const run of page.runs)
    run.url = page.addresses[run.at] && page.addresses[run.at] + run.run;

  function tables() {
    const runs = page.runs.map((run) => ({ ...page.settings[run.s], ...run }));
    const byRun = new Map(runs.map((run) => [run.run, run]));
    const settings = page.settings.map((one) => ({
      ...one, run: one.best ?? "", url: byRun.get(one.best)?.url ?? "",
    }));
    const cells = page.cells.map((cell) => ({ ...settings[cell.s], ...cell }));
    const points = page.curves.flatMap((curve) => {
      const { s, label, told, run, seed, url } = runs[curve.r];
      return curve.epoch.map((epoch, place) => ({
        s, label, told, run, seed, url, epoch,
        loss: curve.loss[place], score: curve.score[place],
      }));
    });
    for (const rows of [runs, settings, cells, points])
      for (const row of rows) if (!row.url) delete row.url;
    return { runs, settings, cells, points };
  }

  // Colours of text and lines are the page's own, light or dark
  function config() {
    const ink = getComputedStyle(document.body).color;
    const faint = ink.replace(/rgba?\((\d+), (\d+), (\d+).*/, "rgba($1, $2, $3, 0.18)");
    return {
      background: "transparent", font: "system-ui, sans-serif",
      view: { stroke: null }, text: { color: ink }, title: { color: ink },
      axis: { labelColor: ink, titleColor: ink, domainColor: faint, tickColor: faint,
              gridColor: faint, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      header: { labelColor: ink, titleColor: ink, labelFontSize: 12 },
    };
  }

  function fitted(spec, width) {
    const least = spec.usermeta.least > width ? { width: spec.usermeta.least } : {}; // it scrolls
    if (!spec.facet)
      return { ...spec, ...least, autosize: { type: "fit-x", contains: "padding" } };
    return { ...spec, columns: Math.max(1, Math.floor(width / spec.usermeta.panel)) };
  }

  async function draw(name, place, data) {
    const spec = { ...fitted(page.charts[name], place.clientWidth), datasets: data };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const options = { ast: true, logLevel: 1, actions: false, renderer: "svg", config: config(),
                      tooltip: { theme: dark ? "dark" : "light" },
                      loader: { target: "_blank", rel: "noopener" } };
    const score = views[name]?.signal && page.charts[name].facet ? views[name].signal("score") : null;
    const result = await vegaEmbed(place, spec, options);
    views[name] = result.view;
    if (score) result.view.signal("score", score);
    show(result.view);
  }

  function show(view) {
    const colors = Object.fromEntries(chosen.map((s, turn) => [s, COLORS[turn % COLORS.length]]));
    return view.signal("chosen", [...chosen]).signal("colors", colors).runAsync();
  }

  function choose(s, wanted) {
    const at = chosen.indexOf(s);
    if (wanted && at < 0) chosen.push(s);
    if (!wanted && at >= 0) chosen.splice(at, 1);
    refresh();
  }

  function refresh() {
    for (const [s, inputs] of boxes) {
      const at = chosen.indexOf(s);
      for (const input of inputs) {
        input.checked = at >= 0;
        input.closest("tr").classList.toggle("chosen", at >= 0);
        input.style.accentColor = at >= 0 ? COLORS[at % COLORS.length] : "";
      }
    }
    for (const view of Object.values(views)) show(view);
    for (const [layer, marks] of layers) layer.replaceChildren(...marks.flatMap(rings));
    const none = document.getElementById("none-chosen");
    none.hidden = !chosen.length;
    none.textContent = `choose none of these ${chosen.length}`;
    page.chosen?.(chosen);
  }

  // A leaderboard is a table with a rank, and a column for each factor: its rows are settings
  function choosable() {
    const known = new Map(page.settings.map((one) => [JSON.stringify(one.levels), one]));
    for (const table of document.querySelectorAll("table")) {
      const heads = [...(table.tHead?.rows[0].cells ?? [])].map((cell) => cell.textContent.trim());
      const places = page.factors.map((factor) => heads.indexOf(factor));
      if (!heads.includes("rank") || places.includes(-1)) continue;
      for (const row of table.tBodies[0].rows) {
        const levels = places.map((place) => row.cells[place].textContent.trim());
        const one = known.get(JSON.stringify(levels));
        if (!one) continue;
        const input = element("input", { type: "checkbox", "data-setting": one.s, class: "played",
                                         "aria-label": `show ${one.label} in every figure` });
        input.addEventListener("change", () => choose(one.s, input.checked));
        row.cells[0].prepend(input, " ");
        boxes.set(one.s, [...(boxes.get(one.s) ?? []), input]);
      }
      const none = element("button", { type: "button", id: "none-chosen", hidden: "" });
      none.addEventListener("click", () => { chosen.length = 0; refresh(); });
      const words = "Tick settings to see them in every figure. ";
      (table.closest(".wide") ?? table).before(
        element("p", { class: "played controls" }, words, none));
      return;
    }
    document.body.append(element("button", { type: "button", id: "none-chosen", hidden: "" }));
  }

  function drawn(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function overlays() {
    for (const [name, marks] of Object.entries(page.marks)) {
      const image = document.querySelector(`#${name} img`);
      const layer = drawn("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
      const both = element("div", { class: "marked" });
      image.replaceWith(both);
      both.append(image, layer);
      layers.push([layer, marks]);
    }
  }

  // Around one mark, a ring within the other where several that are chosen share it
  function rings({ of, box: [x, y, width, height] }) {
    return chosen.filter((s) => of.includes(s)).map((s, turn) => {
      const less = Math.min(0.15 * turn, 0.45);
      return drawn("rect", {
        x: x + less * width, y: y + less * height,
        width: (1 - 2 * less) * width, height: (1 - 2 * less) * height,
        stroke: COLORS[chosen.indexOf(s) % COLORS.length], "data-setting": s,
      }, drawn("title", {}, page.settings[s].label));
    });
  }

  function scores(spec, place) {
    const select = element("select", { id: "score" });
    for (const [key, words] of spec.usermeta.scores)
      select.append(element("option", { value: key }, words));
    select.addEventListener("change", () =>
      views.map.signal("score", select.value).runAsync());
    place.before(element("p", { class: "played controls" },
                         element("label", {}, "each cell shows ", select), spec.usermeta.note));
  }

  // A finger does not hover: its first tap on a mark shows what a pointer is told, the next leads on
  function tappable(place) {
    let kind, last;
    place.addEventListener("pointerdown", (event) => { kind = event.pointerType; }, true);
    place.addEventListener("click", (event) => {
      if (kind !== "touch" || event.target === last) return;
      last = event.target;
      event.stopPropagation();
      const { clientX, clientY } = event;
      last.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
    }, true);
  }

  function places() {
    return Object.entries(page.charts).map(([name, spec]) => {
      const figure = document.getElementById(spec.usermeta.figure);
      const place = element("div", { class: "chart played", id: `chart-${name}`, tabindex: "0" });
      if (figure) {
        figure.append(place);
      } else {
        document.getElementById("explore").before(place);
      }
      if (spec.usermeta.scores) scores(spec, place);
      tappable(place);
      return [name, place];
    });
  }

  async function start() {
    document.documentElement.classList.add("playing");
    for (const one of document.querySelectorAll("#explore, nav [hidden]")) one.hidden = false;
    if (page.command) document.getElementById("opens").replaceChildren(
      "A point, bar, cell or curve leads to its run on MLflow's page",
      ...(page.command.startsWith("http")
        ? [", ", element("a", { href: page.command }, page.command), "."]
        : [", which this command opens: ", element("code", {}, page.command)]));
    choosable();
    overlays();
    const found = places();
    const drawAll = async () => {
      const data = tables();
      for (const [name, place] of found) {
        await draw(name, place, data);
        place.closest("figure")?.classList.add("replaced"); // what could not be drawn stays
      }
    };
    await drawAll();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
    document.documentElement.dataset.explored = "true"; // for who waits for the last chart
  }
  start();
})();
