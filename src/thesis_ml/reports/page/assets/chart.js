// The chart of the page: curves of runs, which are switched on and off.
"use strict";

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
    return;
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
}

connectChart();
