// Charts by dygraphs in the page's colours.
/* global Dygraph */

const charts = new Set();
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/// A chart of several lines over the same x: {label, colours: ["--line-1"], x: "step"}. `lines` are their names; the points of the one called `marked` are dots.
export class Chart {
  constructor(place, {lines, colours, x, widths = [], marked = "", zero = false}) {
    this.place = place;
    this.colours = colours;
    this.rows = [];
    place.setAttribute("role", "img");
    this.label = place.getAttribute("aria-label") || "chart";
    const series = Object.fromEntries(lines.map((line, i) => [line, {strokeWidth: widths[i] ?? 2, drawPoints: line === marked, pointSize: 3}]));
    this.options = {
      labels: [x, ...lines], series, includeZero: zero, legend: "follow", rightGap: 12, axisLabelFontSize: 12, connectSeparatedPoints: true,
      highlightCircleSize: 3, digitsAfterDecimal: 4, xRangePad: 4, yRangePad: 8, axes: {y: {axisLabelWidth: 44, valueFormatter: v => v.toPrecision(4)}, x: {valueFormatter: v => `${x} ${+v.toPrecision(6)}`}},
    };
    charts.add(this);
    new ResizeObserver(() => this.draw()).observe(place);
  }

  show(rows, summary = "") {
    this.rows = rows;
    this.place.setAttribute("aria-label", `${this.label} ${summary}`);
    this.draw();
  }

  /// A place that isn't seen has no size to draw for.
  draw() {
    if (!this.place.clientWidth) return;
    const rows = this.rows.length ? this.rows : [[0, ...Array(this.options.labels.length - 1).fill(null)]];
    const colours = {colors: this.colours.map(colour), gridLineColor: colour("--rule"), axisLineColor: colour("--rule")};
    if (this.dygraph && this.width === this.place.clientWidth) return void this.dygraph.updateOptions({file: rows, ...colours});
    if (this.dygraph) this.dygraph.destroy();
    this.width = this.place.clientWidth;
    this.dygraph = new Dygraph(this.place, rows, {...this.options, ...colours});
  }
}

export function recolour() { for (const chart of charts) chart.draw(); }

/// [[step, a]] to [[step, a, smoothed a]].
export function smoothed(points, keeps = 0.92) {
  let sum = 0, weight = 0;
  return points.map(([step, value]) => {
    sum = keeps * sum + (1 - keeps) * value;
    weight = keeps * weight + 1 - keeps;
    return [step, value, sum / weight];
  });
}
