// Any two settings on the same images: what factorial.comparison.pairs computes, for whom one picks.
(() => {
  "use strict";
  const { element, evidence: known } = page;
  const root = document.getElementById("pair");
  const MOST = 60; // images of a grid

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Each run with whether it reads each image of its set, and what it read of those that are drawn
  async function runs() {
    const sets = await Promise.all(known.sets.map(async (set, at) => {
      const parts = await Promise.all([set.order, set.misread, set.read].map(unpacked));
      const above = new Uint16Array(parts[2].buffer);
      const mine = known.runs.filter((run) => run.set === at).map(({ r }, place) => ({
        ...page.runs[r], set: at, correct: new Uint8Array(set.n).fill(1),
        saw: set.labels.map((label, i) => (label + above[place * set.labels.length + i]) % 65536),
      }));
      misread(mine, new Uint32Array(parts[0].buffer), parts[1]);
      return mine;
    }));
    return sets.flat().sort((one, other) => one.s - other.s);
  }

  // By steps from one misread place to the next: image by image, and run by run in each
  function misread(mine, order, steps) {
    let place = -1;
    for (const step of steps) {
      place += step;
      if (step === 255) continue; // and goes on
      place += 1;
      mine[place % mine.length].correct[order[Math.floor(place / mine.length)]] = 0;
    }
  }

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // Two-sided binomial of the discordant images at one half
  function mcnemar(b, c) {
    const n = b + c;
    let [log, tail] = [-n * Math.LN2, 0];
    for (let k = 0; k <= Math.min(b, c); k++) {
      tail += Math.exp(log);
      log += Math.log((n - k) / (k + 1));
    }
    return n ? Math.min(1, 2 * tail) : 1;
  }

  function student(freedom) {
    const place = (known.students.length - 1) / freedom;
    const below = Math.floor(place);
    const [low, high] = [known.students[below], known.students[below + 1] ?? known.students[below]];
    return low + (place - below) * (high - low);
  }

  // Seeds and images are crossed random effects: see factorial.comparison.pairs.difference
  function difference(first, other) {
    const [seeds, n] = [first.length, first[0].correct.length];
    const apart = first.map((run, s) => run.correct.map((one, i) => one - other[s].correct[i] + 1));
    const bySeed = apart.map((row) => sum(row) / n - 1);
    const byImage = Array.from({ length: n }, (_, i) => sum(apart.map((row) => row[i] - 1)) / seeds);
    const value = sum(bySeed) / seeds;
    const ofImages = (seeds * sum(byImage.map((one) => (one - value) ** 2))) / (n - 1);
    let [error, freedom] = [ofImages, n - 1];
    if (seeds > 1) {
      const ofSeeds = (n * sum(bySeed.map((one) => (one - value) ** 2))) / (seeds - 1);
      let rest = 0;
      apart.forEach((row, s) => row.forEach((one, i) => {
        rest += (one - 1 - bySeed[s] - byImage[i] + value) ** 2;
      }));
      rest /= (seeds - 1) * (n - 1);
      error = Math.max(ofSeeds, rest) + Math.max(ofImages - rest, 0);
      freedom = ofSeeds ? (seeds - 1) * (error / ofSeeds) ** 2 : Infinity;
    }
    if (!error) return { value };
    const half = student(freedom) * Math.sqrt(error / (seeds * n));
    return { value, low: Math.max(value - half, -1), high: Math.min(value + half, 1) };
  }

  function majority(runs) {
    return runs[0].correct.map((_, i) => 2 * sum(runs.map((run) => run.correct[i])) > runs.length);
  }

  // The runs of both by the seeds that they share, on the images that most of these have in common
  function paired(all, first, other) {
    const its = all.filter((run) => run.s === other);
    const pairs = all.filter((run) => run.s === first).flatMap((run) => {
      const match = its.find((one) => one.seed === run.seed && one.set === run.set);
      return match ? [[run, match]] : [];
    });
    const counts = new Map();
    for (const [run] of pairs) counts.set(run.set, (counts.get(run.set) ?? 0) + 1);
    const most = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a))[0];
    return pairs.filter(([run]) => run.set === most);
  }

  function compare(pairs) {
    const [first, other] = [pairs.map(([one]) => one), pairs.map(([, one]) => one)];
    const [mine, its] = [majority(first), majority(other)];
    const alone = (one, two) => [...one.keys()].filter((i) => one[i] && !two[i]);
    const each = pairs.map(([one, two]) => {
      const counts = [alone(one.correct, two.correct).length, alone(two.correct, one.correct).length];
      return { seed: one.seed, counts, p: mcnemar(...counts) };
    });
    const [a, b] = [alone(mine, its), alone(its, mine)];
    return { ...difference(first, other), n: mine.length, set: first[0].set, each, first: a, other: b,
             p: mcnemar(a.length, b.length), runs: [first, other] };
  }

  const share = (value) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(4)}`;
  const small = (p) => (p < 1e-4 ? "< 0.0001" : p.toFixed(4));
  const pOf = (p) => (p < 1e-4 ? `p ${small(p)}` : `p = ${small(p)}`);

  function words(found, names) {
    const span = found.low === undefined ? "no interval: nothing varies"
      : `${share(found.low)} to ${share(found.high)}`;
    const many = found.each.length > 1;
    const seeds = `seed${many ? "s" : ""} ${found.each.map((one) => one.seed).join(", ")}`;
    const over = many ? "seeds and images" : "images, of this one seed";
    const rows = [
      ["difference of accuracy", share(found.value)],
      [`95 % interval, over ${over}`, span],
      ["images that the first alone reads", String(found.first.length)],
      ["images that the second alone reads", String(found.other.length)],
      ["McNemar's exact p", small(found.p)],
    ];
    const list = element("dl", { class: "result" });
    for (const [key, value] of rows)
      list.append(element("dt", {}, key), element("dd", {}, value));
    const each = found.each.map((one) =>
      `seed ${one.seed}: ${one.counts[0]} against ${one.counts[1]}, ${pOf(one.p)}`);
    const read = "A setting reads an image where more than half of its runs do. ";
    const said = `First: ${names[0]}; second: ${names[1]}. ${found.n} ${known.images} images, `
      + `${seeds}. ${many ? `${read}By seed: ${each.join("; ")}. ` : ""}`
      + "p takes the runs as they are, and is one of as many as one looks at.";
    return [list, element("p", { class: "small" }, said), links(found, names)];
  }

  // For whom no pointer reaches a chart's marks
  function links(found, names) {
    const list = element("p", { class: "small" }, "Their runs on MLflow's page: ");
    found.runs.forEach((runs, which) => {
      list.append(which ? "; " : "", `${names[which]}: `);
      for (const run of runs) {
        const words = `seed ${run.seed}`;
        const link = { href: run.url, target: "_blank", rel: "noopener" };
        list.append(run.url ? element("a", link, words) : words, " ");
      }
    });
    return list;
  }

  function tile(found, image, at) {
    const { size, across } = known.sprite;
    const zoom = Math.max(1, Math.floor(64 / Math.max(...size)));
    const before = sum(known.sets.slice(0, found.set).map((one) => one.shown.length));
    const [column, row] = [(before + at) % across, Math.floor((before + at) / across)];
    const label = known.sets[found.set].labels[at];
    const [one, two] = found.runs.map((runs) => runs.map((run) => run.saw[at]).join(" "));
    const picture = element("span", { class: "tile", role: "img",
      "aria-label": `image ${image}, of class ${label}: read as ${one} and as ${two}` });
    picture.style.cssText = `width: ${size[0] * zoom}px; height: ${size[1] * zoom}px; `
      + `background-size: ${size[0] * zoom * across}px auto; `
      + `background-position: ${-column * size[0] * zoom}px ${-row * size[1] * zoom}px`;
    return element("li", { "data-image": image }, picture, `${image}: is ${label}`,
                   element("br", {}), `${one} | ${two}`);
  }

  function grid(found, images, name) {
    const { shown } = known.sets[found.set];
    const there = images.filter((image) => shown.includes(image));
    const some = there.slice(0, MOST);
    const title = element("h3", {}, `${name} alone reads`);
    const rest = images.length - some.length;
    const left = rest ? `; ${rest} more are not shown` : "";
    const note = images.length
      ? `${some.length} of ${images.length} images${left}. Beneath each: its place, its class, `
        + "what the first's runs read | the second's."
      : "No image.";
    const list = element("ul", { class: "tiles" });
    list.append(...some.map((image) => tile(found, image, shown.indexOf(image))));
    return [title, element("p", { class: "small" }, note), list];
  }

  function picker(words, settings, selected) {
    const select = element("select", { id: words });
    for (const s of settings)
      select.append(element("option", { value: s }, page.settings[s].label));
    select.value = selected;
    return select;
  }

  async function start() {
    if (!known) {
      root.append(element("p", {}, "No two settings have predictions on record: runs of older "
        + "versions have none of what was held out; fresh=true makes them."));
      document.documentElement.dataset.paired = "true";
      return;
    }
    const all = await runs();
    const settings = [...new Set(all.map((run) => run.s))];
    const [first, other] = [picker("first", settings, settings[0]),
                            picker("second", settings, settings[1])];
    const result = element("div", { id: "compared", "aria-live": "polite" });
    const style = element("style", {}, `.tile { background-image: url("${known.sprite.uri}"); }`);
    const show = () => {
      const [a, b] = [Number(first.value), Number(other.value)];
      const pairs = paired(all, a, b);
      const names = [page.settings[a].label, page.settings[b].label];
      if (a === b || !pairs.length) {
        result.replaceChildren(element("p", {}, a === b ? "These are one setting."
          : "They have no seed with the same images in common."));
        return;
      }
      const found = compare(pairs);
      page.pair = found;
      result.replaceChildren(...words(found, names), ...grid(found, found.first, names[0]),
                             ...grid(found, found.other, names[1]));
    };
    const missing = known.missing + known.beyond;
    const test = known.images === "test"
      ? "Nothing was held out: these are test images, which chose the winner. " : "";
    root.append(style, element("p", { class: "controls" },
      element("label", {}, "first ", first), element("label", {}, "second ", other)),
      element("p", { class: "small" }, test
        + (missing ? `${missing} runs have no predictions here.` : "")), result);
    for (const select of [first, other]) select.addEventListener("change", show);
    page.chosen = (chosen) => { // the last two that were ticked are compared
      const two = chosen.filter((s) => settings.includes(s)).slice(-2);
      if (two.length === 2) [first.value, other.value] = two;
      if (two.length === 2) show();
    };
    show();
    document.documentElement.dataset.paired = "true";
  }
  start();
})();
