// Charts in place of the drawn figures, and settings that are chosen in all of them at once.
(() => {
  "use strict";
  const { element, views } = page;
  const COLORS = ["#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#0072B2"];
  const SETTLED = 200; // milliseconds after which a window has its new size
  const chosen = [];
  const boxes = new Map(); // of a setting's place: its checkboxes
  window.explored = { views, chosen };

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
      for (const row of rows) {
        row.said = row.label ? `${row.label}: ${row.told}` : "failed"; // to who sees no chart
        if (!row.url) delete row.url;
      }
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

  // What the room that it has makes of a chart: a map's columns, and whether it scrolls
  function layout({ facet, usermeta }, width) {
    if (facet) return { columns: Math.max(1, Math.floor(width / usermeta.panel)) };
    const fit = { autosize: { type: "fit-x", contains: "padding" } };
    return usermeta.least > width ? { ...fit, width: usermeta.least } : fit;
  }

  function outgrown([name, place]) {
    const width = place.clientWidth; // none on paper
    return width && JSON.stringify(layout(page.charts[name], width)) !== place.dataset.layout;
  }

  async function draw(name, place, data) {
    const fitted = layout(page.charts[name], place.clientWidth);
    const spec = { ...page.charts[name], ...fitted, datasets: data };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const options = { ast: true, logLevel: 1, actions: false, renderer: "svg", config: config(),
                      tooltip: { theme: dark ? "dark" : "light" },
                      loader: { target: "_blank", rel: "noopener" } };
    const old = views[name];
    const score = spec.facet && old?.signal("score");
    const result = await vegaEmbed(place, spec, options);
    old?.finalize();
    views[name] = result.view;
    place.dataset.layout = JSON.stringify(fitted);
    if (score) result.view.signal("score", score);
    show(result.view);
  }

  function colors() {
    return new Map(chosen.map((s, turn) => [s, COLORS[turn % COLORS.length]]));
  }

  function show(view) {
    return view.signal("chosen", [...chosen]).signal("colors", Object.fromEntries(colors()))
      .runAsync();
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
    page.ringed(colors());
    keyed();
    const none = document.getElementById("none-chosen");
    none.hidden = !chosen.length;
    none.textContent = `choose none of these ${chosen.length}`;
    page.chosen?.(chosen);
  }

  // Whose each colour is where curves have no names: of the best settings, or of what is chosen
  function keyed() {
    for (const key of document.querySelectorAll(".whose")) {
      const best = key.dataset.colors.split(" ").slice(0, page.settings.length);
      const shown = chosen.length ? [...colors()] : [...best.entries()];
      key.replaceChildren(...shown.map(([s, color]) => element("span", {},
        element("span", { class: "swatch", style: `background: ${color}` }), page.settings[s].label)));
    }
  }

  // A leaderboard is the first table with a column for each factor: its rows are settings
  function choosable() {
    const known = new Map(page.settings.map((one) => [JSON.stringify(one.levels), one]));
    for (const table of document.querySelectorAll("table")) {
      const heads = [...(table.tHead?.rows[0].cells ?? [])].map((cell) => cell.textContent.trim());
      const places = page.factors.map((factor) => heads.indexOf(factor));
      if (places.includes(-1)) continue;
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
      const words = `Tick ${page.things} to see them in every figure. `;
      (table.closest(".wide") ?? table).before(
        element("p", { class: "played controls" }, words, none));
      return;
    }
    document.body.append(element("button", { type: "button", id: "none-chosen", hidden: "" }));
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

  function places() {
    return Object.entries(page.charts).map(([name, spec]) => {
      const figure = document.getElementById(spec.usermeta.figure);
      const place = element("div", { class: "chart played", id: `chart-${name}` });
      if (figure) {
        figure.append(place);
      } else {
        document.getElementById("explore").before(place);
      }
      if (spec.usermeta.scores) scores(spec, place);
      if (spec.usermeta.colors && !place.parentElement.querySelector(".whose"))
        place.before(element("p", { class: "played controls whose",
                                    "data-colors": spec.usermeta.colors.join(" ") }));
      page.tells(place, ".role-mark [role=graphics-symbol]");
      return [name, place];
    });
  }

  async function start() {
    document.documentElement.classList.add("playing");
    for (const one of document.querySelectorAll("#explore, nav [hidden]")) one.hidden = false;
    if (page.command) document.getElementById("opens").replaceChildren(
      "By key, left and right go from mark to mark of a chart. A point, bar, cell or curve leads to "
      + "its run on MLflow's page",
      ...(page.command.startsWith("http")
        ? [", ", element("a", { href: page.command }, page.command), "."]
        : [", which this command opens: ", element("code", {}, page.command)]));
    choosable();
    const found = places();
    keyed();
    let [turn, waiting] = [Promise.resolve(), null];
    const drawAll = async (charts) => {
      const data = tables();
      for (const [name, place] of charts) {
        await draw(name, place, data);
        place.closest("figure")?.classList.add("replaced"); // what could not be drawn stays
      }
    };
    const again = (wanted) => turn = turn.then(() => drawAll(found.filter(wanted)));
    await again(() => true);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => again(() => true));
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(again, SETTLED, outgrown);
    });
    document.documentElement.dataset.explored = "true"; // for who waits for the last chart
  }
  start();
})();
