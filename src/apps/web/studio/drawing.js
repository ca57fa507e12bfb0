// A canvas to draw a digit on: mouse, touch, pen, or keys.
const thickness = 0.085, send = 84;  // the pen's part of the side, and the side of what is sent

export class Drawing {
  /// `changed` gets grey pixels, or null when the canvas is empty.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.changed = changed;
    this.last = null;
    this.pen = {x: 0.5, y: 0.2, down: false};
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = send;
    this.smallContext = this.small.getContext("2d", {willReadFrequently: true});
    this.blacken();
    this.restore();
    canvas.addEventListener("pointerdown", e => { canvas.setPointerCapture(e.pointerId); e.preventDefault(); canvas.focus({preventScroll: true}); this.stroke(this.place(e)); });
    canvas.addEventListener("pointermove", e => { if (this.last) for (const p of e.getCoalescedEvents?.() || [e]) this.stroke(this.place(p)); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.last = null; this.keep(); });
    canvas.addEventListener("keydown", e => this.key(e));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return {x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height};
  }

  stroke(to) {
    const c = this.context, size = this.canvas.width, from = this.last || to;
    c.strokeStyle = "#fff";
    c.lineWidth = thickness * size;
    c.lineCap = c.lineJoin = "round";
    c.beginPath();
    c.moveTo(from.x * size, from.y * size);
    c.lineTo(to.x * size + 0.01, to.y * size);
    c.stroke();
    this.last = to;
    this.changed(this.pixels());
  }

  key(e) {
    const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key];
    if (moves) {
      this.pen.x = Math.min(0.95, Math.max(0.05, this.pen.x + moves[0] * 0.04));
      this.pen.y = Math.min(0.95, Math.max(0.05, this.pen.y + moves[1] * 0.04));
      if (this.pen.down) this.stroke({...this.pen}), this.keep();
    } else if (e.key === " ") {
      this.pen.down = !this.pen.down;
      this.last = null;
      if (this.pen.down) this.stroke({...this.pen});
    } else if (e.key === "Delete" || e.key === "Backspace") {
      this.clear();
    } else {
      return;
    }
    e.preventDefault();
  }

  blacken() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  clear() {
    this.blacken();
    this.last = null;
    sessionStorage.removeItem("drawing");
    this.changed(null);
  }

  /// What was drawn before the page was loaded anew.
  restore() {
    const kept = sessionStorage.getItem("drawing");
    if (!kept) return void this.changed(null);
    const image = new Image();
    image.onload = () => { this.context.drawImage(image, 0, 0); this.changed(this.pixels()); };
    image.src = kept;
  }
  keep() { sessionStorage.setItem("drawing", this.canvas.toDataURL()); }

  pixels() {
    this.smallContext.drawImage(this.canvas, 0, 0, send, send);
    const rgba = this.smallContext.getImageData(0, 0, send, send).data;
    return Uint8Array.from({length: send * send}, (_, i) => rgba[4 * i]);
  }
}
