/**
 * Makes the sound of one model, ahead of the worklet that plays it.
 *
 * The page sends {type: "start", header, weights, kernel, rateHz, seed, line, held, port}, later {type: "seed", seed},
 * {type: "steer", mode} and {type: "hold", held}, and is told by {type: "failed", reason} if nothing more will come. Over
 * the port chunks of sound go to the worklet, and how much of them has been played comes back.
 */
import { Line } from "./synthesis/line.js";
import { Model } from "./synthesis/model.js";

const AHEAD_S = 12;
const CHUNK_S = 0.5;

let start, model, held, line;
let stretch = 0;
let sent = 0;
let taken = 0;
let isWaiting = false;

// Between two chunks messages get their turn.
const turn = new MessageChannel();
turn.port1.onmessage = () => {
  isWaiting = false;
  tryTo(fill);
};

const on = {
  start(message) {
    start = message;
    model = new Model(start.header, toFloat32(start.weights), start.kernel);
    held = start.held;
    start.port.onmessage = ({ data }) => {
      if (data.stretch !== stretch) return;
      taken = data.frames;
      wait();
    };
    begin(start.seed);
  },
  seed({ seed }) {
    stretch++;
    begin(seed);
  },
  steer({ mode }) {
    line.steer({ mode, ago: sent - taken });
    renew();
  },
  hold(message) {
    held = message.held;
    line.hold(held);
    renew();
  },
};

self.onmessage = ({ data }) => tryTo(() => on[data.type](data));

function begin(seed) {
  line = new Line({ model, rate_hz: start.rateHz, seed, line: start.line, held });
  sent = taken = 0;
  wait();
}

/** Has what is made from now on take the place of what waits. */
function renew() {
  stretch++;
  sent = taken = 0;
  wait();
}

/** Has `fill` called soon, once. */
function wait() {
  if (isWaiting) return;
  isWaiting = true;
  turn.port2.postMessage(null);
}

/** Makes a chunk if less than enough lies ahead. */
function fill() {
  if (sent - taken >= AHEAD_S * start.rateHz) return;
  const frames = Math.round(CHUNK_S * start.rateHz);
  // They may be one and the same, and parts of larger ones.
  const [left, right] = line.next(frames).map((each) => each.slice());
  if (!left.every(Number.isFinite) || !right.every(Number.isFinite)) {
    throw new Error("it makes samples that are not numbers");
  }
  start.port.postMessage({ type: "chunk", stretch, left, right }, [left.buffer, right.buffer]);
  sent += frames;
  wait();
}

function tryTo(act) {
  try {
    act();
  } catch (error) {
    self.postMessage({ type: "failed", reason: error.message });
    self.close();
  }
}

/** Half-precision numbers as single ones. */
function toFloat32(buffer) {
  return Float32Array.from(new Uint16Array(buffer), (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    if (exponent === 31) throw new Error("it holds weights that are not numbers");
    return bits >> 15 ? -size : size;
  });
}
