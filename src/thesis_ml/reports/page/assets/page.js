// Sort, filter and save the tables of the page, open its sections by address, and switch runs in its chart.
"use strict";

document.documentElement.classList.add("has-script");

// A cell's number, or its text; null for what was not measured, which stands last in either direction.
function readCell(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value !== undefined) {
    return Number(cell.dataset.value);
  }
  const text = cell.textContent.trim();
  return text === "" ? null : text;
}

function compareValues(first, second) {
  if (typeof first === "number" && typeof second === "number") {
    return first - second;
  }
  return String(first).localeCompare(String(second), "en", { numeric: true });
}

function sortRows(table, header) {
  const isDescending = header.getAttribute("aria-sort") === "ascending";
  const sign = isDescending ? -1 : 1;
  const keyed = Array.from(table.tBodies[0].rows, (row) => ({ row, value: readCell(row, header.cellIndex) }));
  keyed.sort((first, second) => {
    if (first.value === null || second.value === null) {
      return (first.value === null) - (second.value === null);
    }
    return sign * compareValues(first.value, second.value);
  });
  for (const other of table.tHead.rows[0].cells) {
    other.setAttribute("aria-sort", "none");
  }
  header.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
  table.tBodies[0].append(...keyed.map((entry) => entry.row));
}

// A row stays when it holds every word that was typed.
function filterRows(table, text, count) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = Array.from(table.tBodies[0].rows);
  for (const row of rows) {
    const content = Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden = !words.every((word) => content.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  const all = rows.length === 1 ? "1 row" : `${rows.length} rows`;
  count.textContent = words.length ? `${shown} of ${all}` : all;
}

function connectTables() {
  for (const table of document.querySelectorAll("table")) {
    for (const header of table.tHead.rows[0].cells) {
      header.querySelector("button").addEventListener("click", () => sortRows(table, header));
    }
  }
  for (const input of document.querySelectorAll("[data-filter]")) {
    const table = document.getElementById(input.dataset.filter);
    const count = document.querySelector(`[data-count="${input.dataset.filter}"]`);
    input.addEventListener("input", () => filterRows(table, input.value, count));
  }
}

function formatNumber(value) {
  return value === null || value === undefined ? "" : String(Number(value.toPrecision(4)));
}

class CurveChart {
  constructor(data, elements) {
    this.data = data;
    this.elements = elements;
    this.plot = null;
    this.focused = null;
  }

  get colours() {
    const style = getComputedStyle(document.documentElement);
    return { text: style.getPropertyValue("--text").trim(), line: style.getPropertyValue("--line").trim() };
  }

  // Runs have epochs of their own, so that their curves are joined on all values of x.
  joinCurves() {
    const quantity = Number(this.elements.quantity.value);
    const isLogarithmic = this.elements.logarithmic.checked;
    const tables = this.data.runs.map((run) => {
      const xs = run[this.elements.against.value];
      const points = xs.map((x, place) => [x, run.curves[quantity][place]]).filter(([x]) => x !== null);
      points.sort((first, second) => first[0] - second[0]);
      const ys = points.map(([, y]) => (isLogarithmic && y !== null && y <= 0 ? null : y));
      return [points.map(([x]) => x), ys];
    });
    return uPlot.join(tables);
  }

  // A quantity starts on the axis on which its curves can be told apart.
  chooseScale() {
    const quantity = Number(this.elements.quantity.value);
    const values = this.data.runs.flatMap((run) => run.curves[quantity]).filter((value) => value !== null);
    const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [
      Infinity,
      -Infinity,
    ]);
    this.elements.logarithmic.checked = low > 0 && high > 10 * low;
  }

  describeSeries(run) {
    const group = this.data.groups[run.group];
    return {
      label: run.name,
      show: this.isOn(run),
      stroke: group.colour,
      dash: group.dash,
      width: 1.5,
      spanGaps: false,
      points: { show: run.epoch.length < 2 },
    };
  }

  describeEpochs(label) {
    const isEpoch = this.elements.against.value === "epoch";
    const wholeNumbers = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
    return { ...this.describeAxis(label), ...(isEpoch ? { incrs: wholeNumbers } : {}) };
  }

  describeAxis(label) {
    const { text, line } = this.colours;
    const font = "12px system-ui, sans-serif";
    return { label, font, labelFont: font, stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  }

  isOn(run) {
    return this.elements.runs[this.data.runs.indexOf(run)].checked;
  }

  get size() {
    return { width: this.elements.chart.clientWidth, height: 350 };
  }

  draw() {
    this.plot?.destroy();
    const { quantity, against, logarithmic } = this.elements;
    const xLabel = against.selectedOptions[0].textContent;
    const yLabel = this.data.quantities[Number(quantity.value)];
    this.plot = new uPlot(
      {
        ...this.size,
        scales: { x: { time: false }, y: { distr: logarithmic.checked ? 3 : 1 } },
        axes: [this.describeEpochs(xLabel), { ...this.describeAxis(yLabel), size: 70 }],
        series: [{ label: xLabel }, ...this.data.runs.map((run) => this.describeSeries(run))],
        legend: { show: false },
        focus: { alpha: 0.3 },
        cursor: { focus: { prox: 20 }, points: { size: 6 } },
        hooks: {
          setSeries: [(plot, place, options) => this.focus(place, options)],
          setCursor: [(plot) => this.read(plot)],
        },
      },
      this.joinCurves(),
      this.elements.chart,
    );
  }

  focus(place, options) {
    if (options.focus !== undefined) {
      this.focused = place;
    }
  }

  read(plot) {
    const place = plot.cursor.idxs?.[this.focused];
    if (!this.focused || place === null || place === undefined) {
      return;
    }
    const run = this.data.runs[this.focused - 1];
    const group = this.data.groups[run.group];
    const x = formatNumber(plot.data[0][place]);
    const y = formatNumber(plot.data[this.focused][place]);
    this.elements.reading.textContent = `${run.name} (${group.name}): ${y} at ${x}`;
  }

  showRuns() {
    this.plot.batch(() => {
      this.data.runs.forEach((run, place) => this.plot.setSeries(place + 1, { show: this.isOn(run) }));
    });
    for (const button of this.elements.groups) {
      const isAnyOn = this.data.runs.some((run) => String(run.group) === button.dataset.group && this.isOn(run));
      button.setAttribute("aria-pressed", String(isAnyOn));
    }
  }

  switchRuns(isWanted, isOn) {
    this.data.runs.filter(isWanted).forEach((run) => {
      this.elements.runs[this.data.runs.indexOf(run)].checked = isOn;
    });
    this.showRuns();
  }

  connect() {
    const { quantity, against, logarithmic, runs, groups, all, none } = this.elements;
    this.data.quantities.forEach((name, place) => quantity.add(new Option(name, String(place))));
    quantity.addEventListener("change", () => this.chooseScale());
    this.chooseScale();
    for (const control of [quantity, against, logarithmic]) {
      control.addEventListener("change", () => this.draw());
    }
    for (const box of runs) {
      box.addEventListener("change", () => this.showRuns());
    }
    for (const button of groups) {
      button.addEventListener("click", () => {
        const isOn = button.getAttribute("aria-pressed") !== "true";
        this.switchRuns((run) => String(run.group) === button.dataset.group, isOn);
      });
    }
    all.addEventListener("click", () => this.switchRuns(() => true, true));
    none.addEventListener("click", () => this.switchRuns(() => true, false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.plot.setSize(this.size)).observe(this.elements.chart);
  }
}

function connectChart() {
  const source = document.getElementById("curve-data");
  if (source === null) {
    return null;
  }
  const find = (name) => document.getElementById(name);
  const chart = new CurveChart(JSON.parse(source.textContent), {
    chart: find("chart"),
    reading: find("reading"),
    quantity: find("quantity"),
    against: find("against"),
    logarithmic: find("logarithmic"),
    all: find("show-all"),
    none: find("show-none"),
    runs: Array.from(document.querySelectorAll(".run-switch")),
    groups: Array.from(document.querySelectorAll(".group-switch")),
  });
  chart.connect();
  chart.draw();
  return chart;
}

// A table as csv, with the digits that are shown; a text that a spreadsheet would compute is quoted.
function formatCsv(table) {
  const rows = [table.tHead.rows[0], ...table.tBodies[0].rows];
  const cells = rows.map((row) => Array.from(row.cells, (cell) => cell.dataset.value ?? cell.textContent.trim()));
  const guard = (text) => (/^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  return cells.map((row) => row.map((text) => `"${guard(text).replaceAll('"', '""')}"`).join(",")).join("\n");
}

function save(name, content, kind) {
  const link = document.createElement("a");
  link.href = `data:${kind};charset=utf-8,${encodeURIComponent(content)}`;
  link.download = name;
  link.click();
}

function connectFiles() {
  for (const button of document.querySelectorAll("[data-csv]")) {
    const table = document.getElementById(button.dataset.csv);
    button.addEventListener("click", () => save(`${button.dataset.csv.replace(/-table$/, "")}.csv`, formatCsv(table), "text/csv"));
  }
  for (const link of document.querySelectorAll("[data-image]")) {
    const source = link.closest("figure").querySelector("img").src;
    link.textContent = source.startsWith("data:image/svg") ? "svg" : "image";
    link.addEventListener("click", () => {
      link.href = source;
      link.download = link.dataset.image + (link.textContent === "svg" ? ".svg" : ".png");
    });
  }
}

function connectColumns() {
  for (const box of document.querySelectorAll("[data-column]")) {
    const table = document.getElementById(box.dataset.column);
    box.addEventListener("change", () => {
      for (const row of table.rows) {
        row.cells[Number(box.value)].hidden = !box.checked;
      }
    });
  }
}

function connectFigures() {
  const dialog = document.getElementById("enlarged");
  const large = dialog.querySelector("img");
  for (const button of document.querySelectorAll("[data-enlarge]")) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      [large.src, large.alt] = [image.src, image.alt];
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", () => dialog.close());
}

// The address names what is open: #closure opens that section, and a link to a panel opens it with its section.
function openAddress() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part !== null; part = part.parentElement) {
    if (part instanceof HTMLDetailsElement) {
      part.open = true;
    }
  }
  target?.scrollIntoView();
}

function connectSections() {
  for (const part of document.querySelectorAll("details.section, details.panel")) {
    part.addEventListener("toggle", () => {
      if (part.open) {
        history.replaceState(null, "", `#${part.id}`);
      }
    });
  }
  window.addEventListener("hashchange", openAddress);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.section").forEach((part) => { part.open = true; });
  });
  openAddress();
}

connectTables();
connectColumns();
connectFiles();
connectFigures();
connectChart();
connectSections();
