// Pictures of 28 x 28 grey pixels.
const side = 28;

function pixelsOf(context, bytes, at) {
  const image = context.createImageData(side, side);
  for (let i = 0; i < side * side; ++i) {
    const v = bytes[at + i];
    image.data.set([v, v, v, 255], 4 * i);
  }
  return image;
}

/// One picture, of the canvas's size.
export function paint(canvas, bytes) { canvas.getContext("2d").putImageData(pixelsOf(canvas.getContext("2d"), bytes, 0), 0, 0); }

/// A square of pictures with a pixel between them.
export function paintSheet(canvas, bytes) {
  const count = bytes.length / (side * side), columns = Math.ceil(Math.sqrt(count)), step = side + 1;
  canvas.width = canvas.height = columns * step;
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; ++i) context.putImageData(pixelsOf(context, bytes, i * side * side), i % columns * step, Math.floor(i / columns) * step);
}

export async function bytesOf(response) { return new Uint8Array(await (await response).arrayBuffer()); }

/// For trainings without data: a button that takes digits which weft draws.
export function offerDrawn(tab, select, play) {
  const offer = document.querySelector(`#${tab} > .offer`);
  offer.querySelector("button").addEventListener("click", () => { select.value = "drawn"; play(); });
  return shows => { offer.hidden = !shows; };
}
