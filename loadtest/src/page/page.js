"use strict";
(() => {
  const { runs, changes } = JSON.parse(document.getElementById("data").textContent);
  const page = document.getElementById("page");
  const many = runs.length > 1;
  const one = runs[0];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = (place) => css(`--s${(place % 6) + 1}`);
  const label = (run, place) => (many ? "ABCDEFGHIJKL"[place] || `#${place + 1}` : run.title);

  // Text.
  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const count = (value) => Math.round(value).toLocaleString("en-US");
  const time = (us) => {
    if (us === null || us === undefined || !isFinite(us)) return "–";
    const [value, unit] = us < 1000 ? [us, "µs"] : us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
    const places = value < 10 ? 2 : value < 100 ? 1 : 0;
    return `${+value.toFixed(places)} ${unit}`;
  };
  const share = (value) => `${(value * 100).toFixed(2)} %`;
  const errors = (figures) =>
    ["lost", "wrong", "late", "unmatched", "duplicated", "unsent", "broken"]
      .reduce((sum, name) => sum + figures[name], 0);
  const section = (title, note, ...children) => {
    page.append(el("h2", {}, title));
    if (note) page.append(el("p", { class: "note" }, note));
    page.append(...children);
  };
  const table = (heads, rows) => {
    const cell = (tag, text, place) => {
      const [shown, kind] = Array.isArray(text) ? text : [text, ""];
      const names = `${heads[place].startsWith("<") ? "text" : ""} ${kind}`.trim();
      return el(tag, names ? { class: names } : {}, String(shown));
    };
    const head = el("tr", {}, ...heads.map((name, place) => cell("th", name.replace("<", ""), place)));
    const body = rows.map((row) => {
      const line = el("tr", row.soft ? { class: "soft" } : {});
      line.append(...row.cells.map((text, place) => cell("td", text, place)));
      return line;
    });
    return el("div", { class: "scroll" },
      el("table", { class: "t" }, el("thead", {}, head), el("tbody", {}, ...body)));
  };

  // Head: what it was, and whether it was good.
  page.append(el("h1", {}, many ? `${runs.length} runs compared` : one.title));
  if (!many) {
    page.append(el("p", { class: "sub" },
      `${one.load}, ${one.window_s.toFixed(1)} s measured, ${one.date.replace("T", " ").replace("Z", " UTC")}`));
    const chips = el("ul", { class: "chips" });
    const chip = (kind, text) => chips.append(el("li", { class: kind }, text));
    const missed = one.findings.filter((finding) => !finding.pass).length;
    if (missed) chip("bad", `${missed} of ${one.findings.length} thresholds missed`);
    else chip("good", `${one.findings.length} of ${one.findings.length} thresholds kept`);
    if (one.invalid.length) chip("doubt", "invalid: the generator was the bottleneck");
    else chip("good", "the generator kept up");
    if (one.end !== "all phases") chip("doubt", one.end);
    page.append(chips);
    const tiles = el("div", { class: "tiles" });
    const tile = (name, value) => tiles.append(el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name)));
    const latency = one.latency_us;
    tile("answers per second", count(one.rate_per_s));
    tile("p50 latency", time(latency.p50));
    tile("p99 latency", time(latency.p99));
    tile("p99.9 latency", time(latency.p99_9));
    tile("worst", time(latency.max));
    tile("mistakes", count(errors(one)));
    tile("approved in time", share(one.total.goodput));
    if (one.total.lag_us.max > 0) tile("p99 send lag", time(one.total.lag_us.p99));
    page.append(tiles);
  } else {
    page.append(el("p", { class: "sub" }, "Every run against the first, A."));
    page.append(table(["<", "<run", "<date", "<commit", "/s", "p50", "p99", "p99.9", "mistakes"],
      runs.map((run, place) => ({ cells: [label(run, place), run.title, run.date, run.commit || "–",
        count(run.rate_per_s), time(run.latency_us.p50), time(run.latency_us.p99),
        time(run.latency_us.p99_9), count(errors(run))] }))));
    section("What changed",
      "Medians of the intervals of each phase. A change is one if it is more than three times the noise of both and above 2 %.",
      changes.length
        ? table(["<run", "<phase", "<figure", "before", "after", "change", "noise", "<verdict"],
          changes.map((it) => ({ soft: !it.changed, cells: [it.run, it.phase, it.figure,
            it.figure === "rate" ? `${count(it.before)}/s` : time(it.before),
            it.figure === "rate" ? `${count(it.after)}/s` : time(it.after),
            `${it.percent > 0 ? "+" : ""}${it.percent.toFixed(1)} %`, `± ${it.noise_percent.toFixed(1)} %`,
            it.changed ? [it.better ? "better" : "worse", it.better ? "good" : "bad"] : "within noise"] })))
        : el("p", { class: "note" }, "No phases of the same name with enough intervals."));
  }

  // Charts.
  const charts = [];
  const height = () => (innerWidth < 560 ? 230 : 290);
  const axis = (more) => ({
    stroke: css("--soft"), font: "12px system-ui, sans-serif",
    grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, ...more,
  });
  const phaseMarks = (run) => ({
    hooks: {
      drawClear: [(u) => {
        const { ctx } = u;
        const { left, top, width, height: tall } = u.bbox;
        ctx.save();
        ctx.beginPath(); ctx.rect(left, top, width, tall); ctx.clip();
        run.phases.forEach((phase, place) => {
          const from = u.valToPos(phase.from_s, "x", true), to = u.valToPos(phase.to_s, "x", true);
          if (place % 2 === 0) { ctx.fillStyle = css("--band"); ctx.fillRect(from, top, to - from, tall); }
        });
        ctx.restore();
      }],
      draw: [(u) => {
        const { ctx } = u;
        const { top, left, width } = u.bbox;
        ctx.save();
        ctx.fillStyle = css("--soft");
        ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        ctx.textBaseline = "top";
        ctx.textAlign = "left";
        for (const phase of run.phases) {
          const from = Math.max(u.valToPos(phase.from_s, "x", true), left);
          const to = Math.min(u.valToPos(phase.to_s, "x", true), left + width);
          const room = to - from - 8 * devicePixelRatio;
          let text = phase.name;
          while (text.length > 1 && ctx.measureText(text).width > room) text = text.slice(0, -1);
          if (text.length < phase.name.length && text.length > 2) text = `${text.slice(0, -1)}…`;
          if (text.length > 2 || text === phase.name) ctx.fillText(text, from + 4 * devicePixelRatio, top + 3 * devicePixelRatio);
        }
        ctx.restore();
      }],
    },
  });
  const chart = (title, note, id, make) => {
    const box = el("div", { class: "chart", id });
    section(title, note, box);
    charts.push({ box, make, plot: null });
  };
  const draw = () => {
    for (const chart of charts) {
      const shown = chart.plot ? chart.plot.series.map((series) => series.show) : null;
      if (chart.plot) chart.plot.destroy();
      const { options, data } = chart.make();
      options.width = chart.box.clientWidth - 18;
      options.height = height();
      if (shown) options.series.forEach((series, place) => { if (place) series.show = shown[place]; });
      chart.plot = new uPlot(options, data, chart.box);
    }
  };
  // The intervals of all runs on one axis of time.
  const tables = (runs, columns) => {
    const tables = runs.map((run) => {
      const at = run.timeline.map((_, place) => +((place + 0.5) * run.interval_s).toFixed(6));
      return [at, ...columns.map((column) => run.timeline.map((point) => column(point, run)))];
    });
    return tables.length > 1 ? uPlot.join(tables) : tables[0];
  };
  const seconds = { label: "time", value: (u, at) => (at === null ? "–" : `${at.toFixed(2)} s`) };
  const line = (name, place, value, more) => ({
    label: name, stroke: ink(place), width: 1.75, points: { show: false }, spanGaps: true,
    value: (u, at) => (at === null || at === undefined ? "–" : value(at)), ...more,
  });
  const over = (values, format, log) => ({
    scales: { x: { time: false }, y: log ? { distr: 3 } : { range: (u, least, most) => [0, Math.max(most || 0, 1) * 1.15] } },
    axes: [axis({ values: (u, all) => all.map((at) => `${at} s`) }),
      axis({ size: 72, values: (u, all) => all.map((at) => (at === null ? null : format(at))) })],
    series: values, cursor: { sync: { key: "time" }, focus: { prox: 24 } }, legend: { live: true },
    plugins: many ? [] : [phaseMarks(one)],
  });
  const decades = (value) => (Math.abs(Math.log10(value) % 1) < 1e-9 || Math.abs(Math.abs(Math.log10(value) % 1) - 1) < 1e-9 ? time(value) : "");
  const some = (value) => (value > 0 ? value : null);

  chart("Latency over time", "From the moment a request was to leave, by the interval in which that was. Click a name to hide its line.", "latency", () => many
    ? { options: over([seconds, ...runs.map((run, place) => line(`p99 ${label(run, place)}`, place, time))], decades, true),
      data: tables(runs, [(point) => some(point.p99)]) }
    : { options: over([seconds, line("p50", 0, time), line("p90", 2, time), line("p99", 1, time), line("max", 3, time, { width: 1, dash: [3, 3] })], decades, true),
      data: tables(runs, [(point) => some(point.p50), (point) => some(point.p90), (point) => some(point.p99), (point) => some(point.max)]) });

  chart("Percentiles", "The share of requests on an axis of 1/(1-p): each step to the right is ten times as rare.", "percentiles", () => {
    const curves = many
      ? runs.map((run, place) => [label(run, place), run.curve])
      : [["all", one.curve], ...(one.phases.filter((phase) => phase.measured).length > 1
        ? one.phases.filter((phase) => phase.measured).map((phase) => [phase.name, phase.curve]) : [])];
    const rarest = Math.max(1, ...curves.map(([, curve]) => Math.max(0, ...curve.filter(([q]) => q < 1).map(([q]) => -Math.log10(1 - q)))));
    const grid = [];
    for (let nines = 0; nines <= rarest + 1e-9; nines += rarest / 240) grid.push(+nines.toFixed(4));
    const at = (curve, nines) => {
      const last = curve.filter(([q]) => q < 1).map(([q]) => -Math.log10(1 - q)).pop() || 0;
      if (nines > last + 0.05) return null;
      const point = curve.find(([q]) => q >= 1 - 10 ** -nines - 1e-12);
      return point ? some(point[1]) : null;
    };
    const named = (nines) => (nines < 0.5 ? "0 %" : `${+(100 * (1 - 10 ** -Math.round(nines))).toFixed(8)} %`);
    return {
      options: {
        scales: { x: { time: false }, y: { distr: 3 } },
        axes: [axis({ splits: () => [...Array(Math.floor(rarest + 1e-9) + 1).keys()], values: (u, all) => all.map(named) }),
          axis({ size: 72, values: (u, all) => all.map((at) => (at === null ? null : decades(at))) })],
        series: [{ label: "share", value: (u, at) => (at === null ? "–" : `${+(100 * (1 - 10 ** -at)).toFixed(4)} %`) },
          ...curves.map(([name], place) => line(name, place, time, { spanGaps: false, dash: place > 5 ? [5, 4] : undefined }))],
        cursor: { focus: { prox: 24 } },
      },
      data: [grid, ...curves.map(([, curve]) => grid.map((nines) => at(curve, nines)))],
    };
  });

  chart("Throughput", "What was to leave, and the right answers that came, per second.", "throughput", () => many
    ? { options: over([seconds, ...runs.map((run, place) => line(`answers ${label(run, place)}`, place, (at) => `${count(at)}/s`))], count),
      data: tables(runs, [(point, run) => point.answered / run.interval_s]) }
    : { options: over([seconds, line("to leave", 2, (at) => `${count(at)}/s`, { dash: [5, 4] }), line("answered", 0, (at) => `${count(at)}/s`), line("declined", 1, (at) => `${count(at)}/s`)], count),
      data: tables(runs, [(point) => point.due / one.interval_s, (point) => point.answered / one.interval_s, (point) => point.declined / one.interval_s]) });

  if (runs.some((run) => run.timeline.some((point) => point.errors))) {
    chart("Mistakes", "Lost, wrong, late, double or unsent, by the interval in which their request was to leave.", "mistakes", () => {
      const bars = uPlot.paths.bars({ size: [0.9, 60] });
      const whole = (at) => (Number.isInteger(at) ? count(at) : "");
      const options = over([seconds, ...runs.map((run, place) => line(many ? label(run, place) : "mistakes", many ? place : 1, count,
        { paths: bars, fill: many ? undefined : ink(1) }))], whole);
      return { options, data: tables(runs, [(point) => point.errors]) };
    });
  } else {
    section("Mistakes", "None: nothing was lost, wrong, late, double or unsent.");
  }
  if (!many && one.total.lag_us.max > 0) {
    chart("Send lag of the generator", "How late the generator itself was at most. Where this is as long as the latency, the latency is the generator's.", "lag", () => ({
      options: over([seconds, line("lag", 4, time), line("p99 latency", 1, time)], decades, true),
      data: tables(runs, [(point) => some(point.lag_max), (point) => some(point.p99)]),
    }));
  }

  // Tables.
  const figures = (it) => [count(it.rate_per_s), count(it.sent), count(it.declined), [count(errors(it)), errors(it) ? "bad" : ""],
    share(it.goodput), time(it.latency_us.p50), time(it.latency_us.p99), time(it.latency_us.p99_9), time(it.latency_us.max)];
  const heads = ["/s", "sent", "declined", "mistakes", "approved", "p50", "p99", "p99.9", "max"];
  for (const [place, run] of runs.entries()) {
    const of = many ? ` of ${label(run, place)}` : "";
    section(`Phases${of}`, null, table(["<phase", ...heads], run.phases.map((phase) => ({ soft: !phase.measured,
      cells: [phase.recovery_s !== null ? `${phase.name} (recovered ${phase.recovery_s.toFixed(2)} s after)` : phase.name, ...figures(phase.figures)] }))));
    if (many) continue;
    const measured = run.phases.filter((phase) => phase.measured && (phase.groups || []).length);
    if (measured.length > 1) section("Traffic by phase", "Who noticed what happened, and who did not.",
      table(["<phase", "<", "<name", ...heads], measured.flatMap((phase) => phase.groups.map((it) => ({ cells: [phase.name, it.dimension, it.name, ...figures(it.figures)] })))));
    if (run.findings.length) section("Thresholds", null, table(["<threshold", "<found", "<verdict"],
      run.findings.map((it) => ({ cells: [it.threshold, it.found, it.pass ? ["kept", "good"] : ["missed", "bad"]] }))));
    run.invalid.forEach((reason) => page.append(el("p", { class: "note" }, reason)));
    if (run.groups.length) section("Traffic", "Shares of what was sent in measured phases, wanted and found.",
      table(["<", "<name", "wanted", "found", ...heads], run.groups.map((it) => ({ cells: [it.dimension, it.name, share(it.wanted), share(it.found), ...figures(it.figures)] }))));
    const codes = Object.entries(run.codes);
    section("Answers", null, table(["<DE 39", "right answers"], codes.map(([code, number]) => ({ cells: [code, count(number)] }))));
    if (run.mistakes.length) section("The first mistakes", null, table(["at", "<what", "connection", "DE 11", "<DE 37"],
      run.mistakes.map((it) => ({ cells: [`${it.at_s.toFixed(3)} s`, it.what, it.connection, it.stan ?? "–", it.rrn ?? "–"] }))));
  }
  for (const [place, run] of runs.entries()) {
    const list = el("dl", {});
    const fact = (name, value) => list.append(el("dt", {}, name), el("dd", {}, String(value)));
    const machine = run.machine;
    fact("processor", `${machine.processor}, ${machine.cores} cores`);
    fact("memory", `${Math.round(machine.memory_mb / 1024)} GiB`);
    fact("kernel", `Linux ${machine.kernel}`);
    fact("commit", run.commit || "unknown");
    fact("target", `${run.target}, ${run.connections} connections`);
    for (const [name, value] of Object.entries(run.environment)) fact(name, value);
    fact("CPU of the generator", `${(run.generator_cpu * 100).toFixed(0)} % of a core`);
    fact("ended", run.end);
    section(many ? `Where ${label(run, place)} ran` : "Where it ran", null, list,
      el("p", { class: "note" }, "Run it again:"), el("pre", {}, run.command));
  }

  draw();
  let wide = page.clientWidth;
  new ResizeObserver(() => {
    if (page.clientWidth !== wide) { wide = page.clientWidth; draw(); }
  }).observe(page);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.loadtestCharts = charts;
  document.documentElement.dataset.ready = "yes";
})();
