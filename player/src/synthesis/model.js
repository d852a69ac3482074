/** A packed generator: inputs -> pieces of sound. `player.packing` in Python says what its header holds. */
import { drawNoise, seedOf } from "./philox.js";
import { PANEL, makeProduct } from "./product.js";

/** Of a position's channels, under a root, as in `networks.layers`. */
const POWER_FLOOR = 1e-4;

/** Which numbers of noise are pulses, and how large, as in `networks.layers`. */
const PULSES = 1 / 256;
const PULSE_THRESHOLD = Math.fround((1 - PULSES) * Math.sqrt(3));
const PULSE_GAIN = PULSES ** -1.5;

/** Numbers of a line of the cache, at which everything in memory begins. */
const LINE = 16;

const ACTIVATIONS = {
  none: (x) => x,
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
  clip: (x) => Math.min(1, Math.max(-1, x)),
};

/**
 * A layer, and where in memory it lies.
 *
 * Windows of `taps` positions times a matrix `[taps * inputs, stride * outputs]` are the outputs, one product a group.
 * Where those are no whole panels, windows of a few positions more make a few times as many outputs at once:
 *
 *     x   0 1 2 3 4 5 6          taps 3, before 1:   y_1 of 0 1 2, y_2 of 1 2 3
 *         [ row 0 ]              folded twice:      (y_1 y_2) of 0 1 2 3, (y_3 y_4) of 2 3 4 5
 *             [ row 1 ]
 */
class Stage {
  /**
   * @param {object} layer - Of the header.
   * @param {number} given - Numbers of what it listens to, or 0.
   * @param {number} length - Positions of its input.
   * @param {function(number): number} take - Takes a count of numbers from the memory; returns where they begin.
   */
  constructor(layer, given, length, take) {
    Object.assign(this, layer);
    this.given = given;
    this.length = length;
    this.groupInputs = layer.inputs / layer.groups;
    this.groupOutputs = layer.outputs / layer.groups;
    this.width = layer.stride * this.groupOutputs;
    this.folds = [1, 2, 4, 8].find((folds) => (folds * this.width) % PANEL === 0);
    this.k = (layer.taps + this.folds - 1) * this.groupInputs;
    this.columns = this.folds * this.width;
    // Of one group, with zeros before and behind.
    this.inputSize = (length + layer.taps - 1) * this.groupInputs;
    this.input = take(layer.groups * this.inputSize);
    this.matrix = take(this.k * this.columns);
    this.biases = take(this.columns);
  }

  /** Numbers that `load` takes: of the noise, the matrix, the bias and what is listened to. */
  get counts() {
    const noise = this.noise ? 1 + this.noise.relative + this.noise.pulses : 0;
    const matrix = this.taps * this.groupInputs * this.width;
    return [noise * this.inputs, matrix, this.bias ? this.groupOutputs : 0, this.given * this.outputs];
  }

  /** Lays out its weights, arrays of `counts`. */
  load(numbers, noise, matrix, bias, ofGiven) {
    this.ofGiven = ofGiven;
    this.scales = noise.subarray(0, this.inputs);
    this.relativeScales = noise.subarray(this.inputs);
    this.pulseScales = noise.subarray(-this.inputs);
    const rows = this.taps * this.groupInputs;
    for (let fold = 0; fold < this.folds; fold++) {
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < this.width; i++) {
          const column = fold * this.width + i;
          const panel = this.matrix + (column - (column % PANEL)) * this.k;
          numbers[panel + (row + fold * this.groupInputs) * PANEL + (column % PANEL)] = matrix[row * this.width + i];
        }
      }
    }
    this.ownBias = bias;
    if (this.bias) this.setBias(numbers, bias);
  }

  /** Sets the bias, of each of its outputs. */
  setBias(numbers, bias) {
    for (let column = 0; column < this.columns; column++) {
      numbers[this.biases + column] = bias[column % this.groupOutputs];
    }
  }

  /** Numbers, one an output, to which what it makes of what is listened to is added: Float32Array `[outputs]`. */
  listen(numbers, given) {
    const sums = Float32Array.from(numbers);
    given.forEach((weight, row) => {
      // Most are zero: of labels all but one.
      if (weight === 0) return;
      const first = row * this.outputs;
      for (let i = 0; i < sums.length; i++) sums[i] += weight * this.ofGiven[first + i];
    });
    return sums;
  }

  /** Where in memory a channel of the first position of its input lies. */
  placeOf(channel) {
    const group = Math.floor(channel / this.groupInputs);
    return this.input + group * this.inputSize + this.before * this.groupInputs + (channel % this.groupInputs);
  }

  /** Adds noise to its input, see `networks.layers.NoiseInput`. */
  addNoise(numbers, seed) {
    const noise = drawNoise(seed, this.noise, this.length * this.inputs);
    const { inputs, scales, relativeScales, pulseScales } = this;
    const first = this.placeOf(0);
    for (let i = 0; i < noise.length; i += inputs) {
      let power = 0;
      for (let channel = 0; channel < inputs; channel++) power += numbers[first + i + channel] ** 2;
      const rms = Math.sqrt(power / inputs + POWER_FLOOR);
      for (let channel = 0; channel < inputs; channel++) {
        const scale = scales[channel] + (this.noise.relative ? relativeScales[channel] * rms : 0);
        const number = noise[i + channel];
        numbers[first + i + channel] += number * scale;
        const beyond = this.noise.pulses ? Math.abs(number) - PULSE_THRESHOLD : 0;
        if (beyond > 0) {
          numbers[first + i + channel] += Math.sign(number) * beyond * PULSE_GAIN * pulseScales[channel];
        }
      }
    }
  }
}

/** A generator, ready to make pieces. */
export class Model {
  /**
   * @param {object} header
   * @param {Float32Array} weights
   * @param {ArrayBuffer|null} kernel - See `makeProduct`.
   * @throws {Error} The weights are not as many as the header says, or not numbers.
   */
  constructor(header, weights, kernel = null) {
    this.header = header;
    let size = 0;
    const take = (count) => {
      size += Math.ceil(count / LINE) * LINE;
      return size - Math.ceil(count / LINE) * LINE;
    };
    const { inputs, outputs, positions, given = 0 } = header.dense;
    const dense = { inputs, outputs, stride: 1, taps: 1, before: 0, groups: 1, bias: true, activation: "relu" };
    this._stages = [new Stage(dense, given, 1, take)];
    let length = positions;
    for (const layer of header.layers) {
      this._stages.push(new Stage(layer, layer.listens ? given : 0, length, take));
      length *= layer.stride;
    }
    this._connect(take);
    const wanted = this._stages.flatMap((stage) => stage.counts).reduce((a, b) => a + b);
    if (weights.length !== wanted) throw new Error(`it has ${weights.length} weights instead of ${wanted}`);
    if (!weights.every(Number.isFinite)) throw new Error("it has weights that are not numbers");
    const { numbers, multiply, isFast } = makeProduct(kernel, size);
    this._numbers = numbers;
    this._multiply = multiply;
    /** Whether products are computed by the kernel. */
    this.isFast = isFast;
    let first = 0;
    for (const stage of this._stages) {
      stage.load(numbers, ...stage.counts.map((count) => weights.slice(first, (first += count))));
    }
  }

  /** Decides where the product of each stage goes: right into the next one's input where it lies there as it is. */
  _connect(take) {
    this._stages.forEach((stage, i) => {
      const next = this._stages[i + 1];
      const isPlain = ["none", "relu"].includes(stage.activation);
      stage.isDirect = Boolean(next) && isPlain && stage.groups === 1 && next.groups === 1;
      stage.product = stage.isDirect ? next.placeOf(0) : take(stage.length * stage.stride * stage.outputs);
    });
  }

  /**
   * Makes a piece.
   *
   * @param {Float32Array} z - `[latent_dim]`.
   * @param {Float32Array|null} given - `[labels + measures]`, of a model that listens.
   * @returns {Float32Array} `[slice_len * channels]`, the channels of a frame side by side, in [-1, 1].
   */
  generate(z, given = null) {
    const numbers = this._numbers;
    const expanded = given && this._expand(given);
    const output = new Float32Array(this.header.slice_len * this.header.channels);
    numbers.set(z, this._stages[0].input);
    let seed = null;
    this._stages.forEach((stage, i) => {
      const scales = this._listen(stage, i, expanded);
      if (stage.noise) stage.addNoise(numbers, (seed ??= seedOf(z)));
      for (let group = 0; group < stage.groups; group++) {
        this._multiply(
          stage.input + group * stage.inputSize,
          stage.folds * stage.groupInputs,
          stage.matrix,
          stage.biases,
          stage.product + group * stage.length * stage.width,
          stage.length / stage.folds,
          stage.k,
          stage.columns,
          stage.isDirect && stage.activation === "relu" && !scales,
        );
      }
      if (!stage.isDirect) this._pass(stage, this._stages[i + 1], output, scales);
      else if (scales) this._scale(stage, scales);
    });
    return output;
  }

  /** What linear layers take of it: weights of labels, and of the knots next to each measure's place. */
  _expand(given) {
    const { labels, measures, dense } = this.header;
    const knots = (dense.given - labels.length) / measures.length;
    const weightOf = (place, k) => Math.max(0, 1 - Math.abs((knots - 1) * place - k));
    const weights = (place) => Array.from({ length: knots }, (_, k) => weightOf(place, k));
    return [...given.subarray(0, labels.length), ...[...given.subarray(labels.length)].flatMap(weights)];
  }

  /** Has a stage listen: its bias is set, or the scales of its channels are returned. */
  _listen(stage, number, given) {
    if (!stage.given) return null;
    if (number > 0) return stage.listen(new Float32Array(stage.outputs).fill(1), given);
    stage.setBias(this._numbers, stage.listen(stage.ownBias, given));
    return null;
  }

  /** Scales the channels of a product that is the next stage's input already, and rectifies it. */
  _scale(stage, scales) {
    const numbers = this._numbers;
    const activate = ACTIVATIONS[stage.activation];
    const { outputs, product } = stage;
    for (let frame = product; frame < product + stage.length * stage.stride * outputs; frame += outputs) {
      for (let channel = 0; channel < outputs; channel++) {
        numbers[frame + channel] = activate(scales[channel] * numbers[frame + channel]);
      }
    }
  }

  /** Passes the product of a stage through its activation, to the next stage or to the output. */
  _pass(stage, next, output, scales) {
    const numbers = this._numbers;
    const activate = ACTIVATIONS[stage.activation];
    const target = next ? numbers : output;
    const frames = stage.length * stage.stride;
    const hop = next ? next.groupInputs : stage.outputs;
    for (let channel = 0; channel < stage.outputs; channel++) {
      const group = Math.floor(channel / stage.groupOutputs);
      let from = stage.product + group * stage.length * stage.width + (channel % stage.groupOutputs);
      let to = next ? next.placeOf(channel) : channel;
      const scale = scales ? scales[channel] : 1;
      for (let frame = 0; frame < frames; frame++) {
        target[to] = activate(scale * numbers[from]);
        from += stage.groupOutputs;
        to += hop;
      }
    }
  }
}
