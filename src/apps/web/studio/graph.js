// Graphs, and functions to play with.
import {follow, stateOf} from "./store.js";
import {$, element, fillSelect, get, latest, post, quietly, showError} from "./page.js";
import {Chart} from "./chart.js";

const examples = [
  ["GELU", "0.5*x*(1+erf(x*0.7071))"], ["GELU by tanh", "0.5*x*(1+tanh(0.7979*(x+0.0447*x^3)))"], ["SiLU", "x/(1+exp(-x))"], ["Softplus", "log(1+exp(x))"],
  ["Gaussian", "exp(-x^2/2)/sqrt(2*pi)"], ["Wavelet", "cos(5*x)*exp(-x^2/2)"],
];
const quantity = (n, unit) => {
  let i = 0;
  for (; n >= 999.5 && i < 4; ++i) n /= 1000;
  return (n >= 100 || i === 0 ? Math.round(n) : n.toPrecision(3)) + " " + ["", "k", "M", "G", "T"][i] + unit;
};
const time = s => s < 1e-3 ? (s * 1e6).toPrecision(3) + " \u00b5s" : (s * 1e3).toPrecision(3) + " ms";

function frame(place, address, title) {
  place.replaceChildren(element("iframe", {src: address, title}));
}

function showTable(table, list, elements) {
  const row = (tag, ...cells) => element("tr", {}, ...cells.map((c, i) => element(i ? tag : "th", {textContent: c})));
  const rows = [row("th", `${elements.toLocaleString("en")} elements`, "kernels", "bytes", "time")];
  for (const t of list)
    for (const how of ["stitched", "unstitched"])
      rows.push(row("td", `${t.what}, ${how}`, t[how].kernels, quantity(t[how].bytes, "B"), time(t[how].seconds)));
  for (const t of list) rows.push(row("td", `${t.what}: gain`, "", (t.unstitched.bytes / t.stitched.bytes).toFixed(1) + " \u00d7", (t.unstitched.seconds / t.stitched.seconds).toFixed(1) + " \u00d7"));
  table.replaceChildren(...(list.length ? rows : []));
}

export function startGraph() {
  const input = $("graph-expression"), problem = $("graph-problem");
  $("graph-plot").setAttribute("aria-label", "Function and gradient");
  const chart = new Chart($("graph-plot"), {lines: ["f(x)", "gradient"], colours: ["--line-1", "--line-2"], x: "x"});

  const send = latest(async () => {
    const body = {expression: input.value, from: +$("graph-from").value, to: +$("graph-to").value};
    const answer = await post("graph", "/api/graph/function", body);
    showError("graph", "");
    problem.hidden = !answer.problem;
    input.setAttribute("aria-invalid", !!answer.problem);
    if (!answer.problem) return show(answer);
    const place = element("pre", {textContent: `${body.expression}\n${" ".repeat(answer.at)}${"^".repeat(answer.length)}`});
    problem.replaceChildren(place, `Character ${answer.at + 1}: ${answer.problem}`);
  });
  let timer = 0;
  const soon = () => { clearTimeout(timer); timer = setTimeout(send, 300); };
  for (const id of ["graph-expression", "graph-from", "graph-to"]) $(id).addEventListener("input", soon);
  $("graph-form").addEventListener("submit", e => { e.preventDefault(); clearTimeout(timer); send(); });
  for (const [name, text] of examples) {
    const button = element("button", {type: "button", className: "chip", textContent: name});
    button.addEventListener("click", () => { input.value = text; send(); });
    $("graph-examples").append(button);
  }

  let framed = null;
  function show(f) {
    chart.show(f.x.map((x, i) => [x, f.y[i], f.slope[i]]), f.expression);
    showTable($("graph-table"), f.table, f.elements);
    $("graph-code").replaceChildren(...f.kernels.map(k => element("div", {}, element("h3", {textContent: k.name}), element("pre", {textContent: k.code, tabIndex: 0}))));
    $("graph-kernels").hidden = !f.kernels.length;
    // Two studios may count alike.
    const version = f.page && `${f.page}:${f.expression}`;
    if (version === framed) return;
    framed = version;
    if (version) frame($("graph-function"), "/api/graph/function?" + f.page, "Graph of the function and its gradient");
    else $("graph-function").replaceChildren();
  }

  // The last function that anybody has seen, or the first one: asked for when the tab is seen for the first time, not before.
  let begun = false;
  function begin() {
    if (begun || $("graph").hidden || !stateOf("graph").choices) return;
    begun = true;
    const f = stateOf("graph").function;
    if (!f) return void send();
    input.value = f.expression;
    $("graph-from").value = f.from;
    $("graph-to").value = f.to;
    show(f);
  }
  addEventListener("tab", begin);
  follow("graph", (s, names) => {
    begin();
    if (names.has("choices")) fillSelect($("graph-choice"), s.choices.map(c => [c.name, c.title]));
    if (names.has("error")) showError("graph", s.error);
  });

  async function open(anew) {
    const address = `/api/graph/page?graph=${encodeURIComponent($("graph-choice").value)}`;
    showError("graph", "");
    $("graph-page").replaceChildren(element("p", {className: "hint", textContent: "Compiling and measuring\u2026"}));
    try {
      await get("graph", address + (anew ? "&anew=1" : ""));
    } catch { return void $("graph-page").replaceChildren(); }
    frame($("graph-page"), address, $("graph-choice").selectedOptions[0].textContent);
    $("graph-alone").href = address;
    $("graph-alone").hidden = $("graph-anew").hidden = false;
  }
  $("graph-open").addEventListener("click", () => quietly(open(false)));
  $("graph-anew").addEventListener("click", () => quietly(open(true)));
}
