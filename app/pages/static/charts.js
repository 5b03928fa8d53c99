// Draws <figure class="chart"> with uPlot: reads the JSON beside it, as app/pages/drawing.py writes it.
"use strict";
{
  const DAY_S = 86400;
  const LINE_WIDTH = 1.75;
  const FONT = `12px ${getComputedStyle(document.body).fontFamily}`;
  const drawn = new Map();

  // Colours are those of the page at this moment, light or dark.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }
  function fade(rgb, opacity) {
    return rgb.replace("rgb(", "rgba(").replace(")", `, ${opacity})`);
  }

  function makeFormats(chart) {
    const zone = chart.clock === "date" ? { timeZone: "UTC" } : {};
    const isFine = chart.clock === "local";
    const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", ...(isFine ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : {}), ...zone });
    const isRatio = chart.unit === "%";
    const values = chart.lines.flatMap((line) => line.values).filter((value) => value !== null);
    const largest = Math.max(...values.map(Math.abs), 0) * (isRatio ? 100 : 1);
    const decimals = isRatio ? 1 : Math.min(Math.max(3 - Math.floor(Math.log10(largest || 1)), 0), 8);
    const digits = new Intl.NumberFormat("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    const tick = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 8 });
    return {
      moment: (seconds) => day.format(new Date(1000 * seconds)),
      value: (value) => (isRatio ? `${digits.format(100 * value)} %` : digits.format(value)),
      tick: (value) => (isRatio ? `${tick.format(Number((100 * value).toFixed(6)))} %` : tick.format(value)),
    };
  }

  function makeOptions(chart, plot, formats) {
    const grid = { stroke: () => colour("line"), width: 1 };
    const axis = { stroke: () => colour("muted"), grid, ticks: { show: false }, font: FONT };
    const places = Object.fromEntries(chart.lines.map((line, k) => [line.label, k + 1]));
    return {
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      tzDate: (seconds) => (chart.clock === "date" ? uPlot.tzDate(new Date(1000 * seconds), "Etc/UTC") : new Date(1000 * seconds)),
      scales: { x: { time: true, range: (u, first, last) => [first, last + 0.02 * (last - first)] }, y: { range: (u, low, high) => frame(low, high, chart) } },
      axes: [
        { ...axis, space: 70, gap: 6, values: (u, places, k, space, step) => nameTicks(places, step, chart) },
        { ...axis, gap: 6, size: (u, values) => Math.max(34, 16 + 7 * Math.max(0, ...(values ?? []).map((each) => each.length))), values: (u, ticks) => ticks.map(formats.tick) },
      ],
      series: [{}, ...chart.lines.map((line) => makeSeries(line, chart))],
      bands: chart.bands.map((band) => ({
        series: [places[band.high], places[band.low]],
        fill: () => fade(colour(band.tone), band.opacity),
      })),
      hooks: { draw: [(u) => drawMarks(u, chart)], setCursor: [(u) => readOut(u, chart, plot, formats)] },
    };
  }

  // Months, days or hours, with the year or the day below where it begins anew.
  function nameTicks(places, step_s, chart) {
    const zone = chart.clock === "date" ? { timeZone: "UTC" } : {};
    const [fine, coarse] = step_s >= 28 * DAY_S ? [{ month: "short" }, { year: "numeric" }]
      : step_s >= DAY_S ? [{ day: "numeric", month: "short" }, { year: "numeric" }]
      : [{ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, { day: "numeric", month: "short" }];
    const [above, below] = [fine, coarse].map((form) => new Intl.DateTimeFormat("en-GB", { ...form, ...zone }));
    let last = "";
    return places.map((place) => {
      const moment = new Date(1000 * place);
      const now = below.format(moment);
      const isNew = now !== last;
      last = now;
      return step_s >= 365 * DAY_S ? now : above.format(moment) + (isNew ? `\n${now}` : "");
    });
  }

  function makeSeries(line, chart) {
    const isDots = line.style === "dots";
    return {
      label: line.label,
      stroke: line.style === "hidden" ? undefined : () => colour(line.tone),
      width: line.style === "hidden" || isDots ? 0 : LINE_WIDTH,
      dash: line.style === "dashed" ? [5, 4] : undefined,
      paths: isDots ? () => null : undefined,
      spanGaps: false,
      points: isDots ? { show: true, size: 6, width: 0, fill: () => colour(line.tone) } : { show: line.style !== "hidden" && line.values.filter((value) => value !== null).length === 1 },
    };
  }

  // Room above and below, and every level that a mark points out inside.
  function frame(low, high, chart) {
    const levels = chart.marks.filter((mark) => mark.is_level).map((mark) => mark.at);
    const values = [low, high, ...levels].filter((value) => Number.isFinite(value));
    if (!values.length) return [0, 1];
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const room = 0.06 * (most - least || Math.abs(most) || 1);
    return [least - room, most + room];
  }

  function drawMarks(u, chart) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    let last = -Infinity;
    for (const mark of chart.marks) {
      ctx.strokeStyle = ctx.fillStyle = colour(mark.tone);
      ctx.lineWidth = ratio;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      const place = Math.round(u.valToPos(mark.at, mark.is_level ? "y" : "x", true));
      ctx.beginPath();
      if (mark.is_level) {
        ctx.moveTo(bbox.left, place);
        ctx.lineTo(bbox.left + bbox.width, place);
      } else {
        ctx.moveTo(place, bbox.top);
        ctx.lineTo(place, bbox.top + bbox.height);
      }
      ctx.stroke();
      const width = ctx.measureText(mark.label).width;
      if (mark.is_level) {
        ctx.textAlign = "left";
        ctx.fillText(mark.label, bbox.left + 4 * ratio, place - 4 * ratio);
      } else if (place - width - 10 * ratio > last) {
        ctx.textAlign = "right";
        ctx.fillText(mark.label, place - 5 * ratio, bbox.top + 11 * ratio);
        last = place;
      }
    }
    ctx.restore();
  }

  function readOut(u, chart, plot, formats) {
    const output = plot.parentElement.querySelector(".read-out");
    const place = u.cursor.idx ?? chart.times.length - 1;
    const known = chart.lines.filter((line) => line.values[place] !== null && line.values[place] !== undefined);
    output.replaceChildren(part(formats.moment(chart.times[place]), true));
    const inBands = new Set(chart.bands.flatMap((band) => [band.low, band.high]));
    for (const line of known.filter((each) => !inBands.has(each.label))) output.append(part(`${line.label} `, false, formats.value(line.values[place])));
    for (const band of chart.bands) {
      const [low, high] = [band.low, band.high].map((label) => known.find((line) => line.label === label)?.values[place]);
      if (low !== undefined && high !== undefined && low !== high) output.append(part(`${band.label} `, false, `${formats.value(low)} – ${formats.value(high)}`));
    }
  }

  function part(text, isStrong, strong = "") {
    const span = document.createElement("span");
    if (isStrong) span.append(bold(text));
    else span.append(text, bold(strong));
    return span;
  }

  function bold(text) {
    const element = document.createElement("b");
    element.textContent = text;
    return element;
  }

  function draw(figure) {
    const plot = figure.querySelector("[data-chart]");
    const chart = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    if (!chart.times.length || drawn.has(plot)) return;
    const formats = makeFormats(chart);
    const data = [chart.times, ...chart.lines.map((line) => line.values)];
    const u = new uPlot(makeOptions(chart, plot, formats), data, plot);
    drawn.set(plot, { u, chart });
    readOut(u, chart, plot, formats);
    plot.tabIndex = 0;
    plot.addEventListener("keydown", (event) => step(event, u, chart, figure));
    plot.addEventListener("blur", () => figure.querySelector(".read-out").setAttribute("aria-live", "off"));
    resizing.observe(plot);
  }

  // The arrow keys read a chart out step by step.
  function step(event, u, chart, figure) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    figure.querySelector(".read-out").setAttribute("aria-live", "polite");
    const last = chart.times.length - 1;
    const place = Math.min(Math.max((u.cursor.idx ?? last) + moves[event.key], 0), last);
    u.setCursor({ left: u.valToPos(chart.times[place], "x"), top: u.over.clientHeight / 2 });
  }

  const resizing = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const { u } = drawn.get(target) ?? {};
      if (u && target.clientWidth) u.setSize({ width: target.clientWidth, height: target.clientHeight });
    }
  });

  function redraw() {
    for (const [plot, { u }] of drawn) {
      if (plot.isConnected) u.redraw(false);
      else { u.destroy(); resizing.unobserve(plot); drawn.delete(plot); }
    }
  }

  function zoom(button) {
    const figure = document.getElementById(button.dataset.zooms);
    const { u, chart } = drawn.get(figure.querySelector("[data-chart]"));
    const isClose = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isClose));
    u.setScale("x", { min: isClose ? chart.close_up_from : chart.times[0], max: chart.times.at(-1) });
  }

  // ---- A picture to keep: title, unit, legend and the drawing, on paper white or night dark as it is seen.

  function savePicture(button) {
    const figure = document.getElementById(button.dataset.saves);
    const { u, chart } = drawn.get(figure.querySelector("[data-chart]"));
    const ratio = devicePixelRatio;
    const [margin, head] = [20 * ratio, 64 * ratio];
    const source = u.ctx.canvas;
    const canvas = document.createElement("canvas");
    canvas.width = source.width + 2 * margin;
    canvas.height = source.height + head + 2 * margin;
    const ctx = canvas.getContext("2d");
    const family = getComputedStyle(document.body).fontFamily;
    ctx.fillStyle = colour("paper");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = colour("ink");
    ctx.font = `600 ${17 * ratio}px ${family}`;
    ctx.fillText(`${chart.title} (${chart.unit})`, margin, margin + 17 * ratio);
    ctx.font = `${12 * ratio}px ${family}`;
    let left = margin;
    const baseline = margin + 46 * ratio;
    const entries = [
      ...chart.lines.filter((line) => line.style !== "hidden").map((line) => ({ ...line, opacity: 1, height: 2 })),
      ...chart.bands.map((band) => ({ ...band, height: 10 })),
    ];
    for (const entry of entries) {
      ctx.fillStyle = fade(colour(entry.tone), entry.opacity);
      ctx.fillRect(left, baseline - (4 + entry.height / 2) * ratio, 20 * ratio, entry.height * ratio);
      ctx.fillStyle = colour("muted");
      ctx.fillText(entry.label, left + 26 * ratio, baseline);
      left += 26 * ratio + ctx.measureText(entry.label).width + 18 * ratio;
    }
    ctx.drawImage(source, margin, margin + head);
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = button.dataset.fileName ?? "chart.png";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, "image/png");
  }

  function drawAll(root) {
    for (const figure of root.querySelectorAll("figure.chart")) draw(figure);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-saves], [data-zooms]");
    if (button?.dataset.saves) savePicture(button);
    if (button?.dataset.zooms) zoom(button);
  });
  document.addEventListener("htmx:load", (event) => { redraw(); drawAll(event.target.parentElement ?? document); });
  document.addEventListener("themechange", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  drawAll(document);
}
