// Runs what the page makes its sound with, for tests: node synthesis.mjs JOB.json, of which the answer goes to stdout.
import { readFileSync, writeFileSync } from "node:fs";

const source = new URL("../../player/src/synthesis/", import.meta.url);
const load = (name) => import(new URL(name, source));

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const read = (path, Type = Float32Array) => new Type(new Uint8Array(readFileSync(path)).buffer);
const write = (name, ...arrays) => writeFileSync(job.folder + "/" + name, Buffer.concat(arrays.map(bytes)));
const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

async function makeModel() {
  const { Model } = await load("model.js");
  return new Model(job.header, read(job.weights), job.kernel && readFileSync(job.kernel));
}

const works = {
  async inputs() {
    const { drawInput } = await load("inputs.js");
    const drawn = job.of.map(([seed, line, index]) => drawInput(BigInt(seed), line, index, job.header));
    write("inputs", ...drawn.flatMap(({ z, given }) => (given ? [z, given] : [z])));
  },
  async noise() {
    const { drawNoise, seedOf } = await load("philox.js");
    const seed = seedOf(read(job.z));
    write("noise", ...job.layers.map((layer) => drawNoise(seed, layer, layer.count)));
    return { seed };
  },
  async spectrum() {
    const { powerSpectrum } = await load("fft.js");
    write("power", powerSpectrum(read(job.x, Float64Array)));
  },
  async traits() {
    const { traitsOf } = await load("traits.js");
    return job.sounds.map(({ name, channels }) => {
      const x = read(job[name]);
      const channelOf = (c) => x.filter((_, i) => i % channels === c);
      return traitsOf(Array.from({ length: channels }, (_, c) => channelOf(c)), job.edge);
    });
  },
  async resample() {
    const { Resampler } = await load("resampler.js");
    write("resampled", new Resampler(job.from_hz, job.to_hz).resample(read(job.x)));
  },
  async weighting() {
    const { kWeighting } = await load("loudness.js");
    return job.rates_hz.map(kWeighting);
  },
  async guard() {
    const { StartleGuard } = await load("guard.js");
    const { channels } = job;
    const guard = new StartleGuard(job.max_rise_db, job.rate_hz, channels, 2);
    const x = read(job.x);
    const piece = x.length / job.starts.length / channels;
    const sounds = job.starts.map((_, number) =>
      Array.from({ length: channels }, (_, c) => x.subarray((number * channels + c) * piece).slice(0, piece)),
    );
    guard.begin(sounds[0]);
    return job.starts.map((start, number) => {
      guard.advance(start);
      return guard.add(sounds[number], start);
    });
  },
  async correlation() {
    const { correlation } = await load("fades.js");
    const parts = (x, count) => Array.from({ length: count }, (_, i) => x.slice(...[i, i + 1].map(placeIn(x, count))));
    const placeIn = (x, count) => (i) => (i * x.length) / count;
    const before = parts(read(job.before), 2);
    return parts(read(job.after), job.count).map((after) => correlation(before, parts(after, 2), job.frames));
  },
  async generate() {
    const model = await makeModel();
    const { latent_dim: latentDim, labels, measures } = job.header;
    const width = latentDim + (labels ? labels.length + measures.length : 0);
    const inputs = read(job.inputs);
    const pieces = [];
    for (let i = 0; i < inputs.length; i += width) {
      const given = labels ? inputs.slice(i + latentDim, i + width) : null;
      pieces.push(model.generate(inputs.slice(i, i + latentDim), given));
    }
    write("pieces", ...pieces);
    return { isFast: model.isFast };
  },
  async line() {
    const { Line } = await load("line.js");
    const line = new Line({ ...job.options, model: await makeModel() });
    const parts = [];
    const pieces = [];
    // Numbers are frames to make, anything else steers or holds.
    for (const each of job.calls) {
      if (typeof each === "number") parts.push(line.next(each));
      else if (each.held) line.hold(each.held);
      else line.steer(each);
      pieces.push(...line.pieces.filter(({ start }) => !pieces.some((piece) => piece.start === start)));
    }
    for (const [c, name] of ["left", "right"].entries()) write(name, ...parts.map((part) => part[c]));
    const arrays = ({ z, given }) => ({ z: Array.from(z), given: given && Array.from(given) });
    return { pieces: pieces.map((piece) => ({ ...piece, ...arrays(piece) })) };
  },
};

process.stdout.write(JSON.stringify((await works[job.work]()) ?? null));
