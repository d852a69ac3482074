/** The picture of what a model sounds like now: time to the right, pitch upwards. */

const ROWS = 96;
const COLUMN_PIXELS = 2;
const COLUMN_MS = 50;
const STILL_MS = 5000;
const LOWEST_HZ = 60;

const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const darkness = matchMedia("(prefers-color-scheme: dark)");

/** A spectrogram on a canvas; it moves on by a column where `draw` is called often enough. */
export class Spectrogram {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this._canvas = canvas;
    this._context = canvas.getContext("2d");
    this._columns = [];
    this._lastMs = this._shownMs = -Infinity;
    darkness.addEventListener("change", () => {
      this._palette = null;
      this._paint();
    });
    new ResizeObserver(() => this._fit()).observe(canvas);
  }

  /**
   * Adds what an analyser hears now.
   *
   * @param {AnalyserNode} analyser
   * @param {number} nowMs
   */
  draw(analyser, nowMs) {
    if (nowMs - this._lastMs < COLUMN_MS) return;
    this._lastMs = nowMs;
    this._columns.push(this._listen(analyser));
    if (this._columns.length > this._canvas.width) this._columns.shift();
    if (!stillness.matches) {
      this._context.drawImage(this._canvas, -1, 0);
      this._paintColumn(this._canvas.width - 1, this._columns.at(-1));
    } else if (nowMs - this._shownMs > STILL_MS) {
      this._shownMs = nowMs;
      this._paint();
    }
  }

  /** Loudness of each row, from the highest pitch to the lowest: Uint8Array `[ROWS]`. */
  _listen(analyser) {
    const bins = new Uint8Array(analyser.frequencyBinCount);
    analyser.getByteFrequencyData(bins);
    const nyquist = analyser.context.sampleRate / 2;
    const binOf = (row) => (LOWEST_HZ * (nyquist / LOWEST_HZ) ** (1 - row / ROWS) * bins.length) / nyquist;
    return Uint8Array.from({ length: ROWS }, (_, row) => {
      const first = Math.floor(binOf(row + 1));
      const last = Math.max(first + 1, Math.floor(binOf(row)));
      return Math.max(...bins.subarray(first, last));
    });
  }

  _fit() {
    const width = Math.max(1, Math.round(this._canvas.clientWidth / COLUMN_PIXELS));
    if (this._canvas.width === width && this._canvas.height === ROWS) return;
    Object.assign(this._canvas, { width, height: ROWS });
    this._paint();
  }

  _paint() {
    this._context.clearRect(0, 0, this._canvas.width, ROWS);
    const first = this._canvas.width - this._columns.length;
    this._columns.forEach((column, index) => this._paintColumn(first + index, column));
  }

  _paintColumn(x, column) {
    this._palette ??= this._mixColors();
    const image = this._context.createImageData(1, ROWS);
    column.forEach((loudness, row) => image.data.set(this._palette.subarray(4 * loudness, 4 * loudness + 4), 4 * row));
    this._context.putImageData(image, x, 0);
  }

  /** A color for each loudness, from the ground's to the model's own. */
  _mixColors() {
    const style = getComputedStyle(this._canvas);
    const strip = Object.assign(document.createElement("canvas"), { width: 256, height: 1 }).getContext("2d");
    const gradient = strip.createLinearGradient(0, 0, 256, 0);
    gradient.addColorStop(0, style.backgroundColor);
    gradient.addColorStop(1, style.getPropertyValue("--tint"));
    strip.fillStyle = gradient;
    strip.fillRect(0, 0, 256, 1);
    return strip.getImageData(0, 0, 256, 1).data;
  }
}
