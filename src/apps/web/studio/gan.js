// The networks that learn to draw.
import {follow} from "./store.js";
import {$, figure, figures, get, latest, post, quietly, showError, whole} from "./page.js";
import {Chart, smoothed} from "./chart.js";
import {bytesOf, offerDrawn, paintSheet} from "./tiles.js";

export function startGan() {
  const charts = {};
  for (const [name, line] of [["discriminator", 1], ["generator", 2]]) {
    $("gan-" + name).setAttribute("aria-label", `Loss of the ${name}`);
    charts[name] = new Chart($("gan-" + name), {lines: ["loss", "smoothed"], colours: [`--line-${line}-pale`, `--line-${line}`], widths: [1, 2.2], x: "step", zero: true});
  }
  const ask = (path, body) => quietly(post("gan", "/api/gan/" + path, body));
  const play = () => {
    showError("gan", "");
    ask("play", {batch: +$("gan-batch").value, source: $("gan-source").value});
  };
  const offer = offerDrawn("gan", $("gan-source"), play);
  $("gan-play").addEventListener("click", () => $("gan-play").dataset.runs ? ask("pause") : play());
  $("gan-reset").addEventListener("click", () => ask("reset"));
  $("gan-sample").addEventListener("click", () => ask("sample"));

  const painter = name => latest(async () => {
    const bytes = await bytesOf(get("gan", "/api/gan/" + name));
    paintSheet($("gan-" + name), bytes.length ? bytes : new Uint8Array(64 * 784));
  });
  const paintDigits = painter("sheet"), paintSamples = painter("samples");

  follow("gan", (s, names) => {
    if (names.has("error")) showError("gan", s.error);
    if (names.has("needs_data")) offer(s.needs_data);
    if (names.has("source") && document.activeElement !== $("gan-source")) $("gan-source").value = s.source;
    if (names.has("batch")) $("gan-batch").value = s.batch;
    const button = $("gan-play");
    button.textContent = s.playing ? "Pause" : s.steps ? "Go on" : "Play";
    button.dataset.runs = s.playing ? "1" : "";
    $("gan-batch").disabled = s.steps > 0 || s.playing;
    for (const name of ["discriminator", "generator"])
      if (names.has(name)) charts[name].show(smoothed(s[name] || [], 0.9), s[name]?.length ? `now ${s[name].at(-1)[1].toFixed(3)}` : "");
    figures($("gan-figures"), [["steps", s.steps ? whole(s.steps) : ""], ["steps/s", s.rate ? figure(s.rate) : ""],
                               ["discriminator", s.discriminator?.at(-1)?.[1].toFixed(3)], ["generator", s.generator?.at(-1)?.[1].toFixed(3)]]);
    $("gan-caption").textContent = s.sheet ? `after ${whole(s.sheet_steps)} steps` : s.playing ? "compiling" : "press Play to see digits form";
    $("gan-sampled").textContent = s.samples ? `after ${whole(s.samples_steps)} steps` : "";
    if (names.has("sheet")) paintDigits();
    if (names.has("samples")) paintSamples();
  });
}
