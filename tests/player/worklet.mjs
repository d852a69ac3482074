// Runs parts of the worklet outside of a browser: node worklet.mjs, a JSON object on stdin, its answer on stdout.
import { readFileSync } from "node:fs";
import { Fade, Fader } from "../../player/src/worklet/gains.js";
import { Limiter } from "../../player/src/worklet/limiter.js";
import { Line } from "../../player/src/worklet/line.js";
import { Recorder } from "../../player/src/worklet/recorder.js";

const BLOCK = 128;

/** Runs `act(left, right, frame)` over blocks of sound; returns both sides. */
function inBlocks(left, right, act) {
  const sides = [Float32Array.from(left), Float32Array.from(right)];
  for (let frame = 0; frame < left.length; frame += BLOCK) {
    act(...sides.map((side) => side.subarray(frame, frame + BLOCK)), frame);
  }
  return sides.map((side) => Array.from(side));
}

const on = {
  limiter({ rateHz, left, right }) {
    const limiter = new Limiter(rateHz);
    return inBlocks(left, right, (...sides) => limiter.process(...sides));
  },

  fader({ rateHz, left, right, gain, later }) {
    const fader = new Fader(gain, rateHz);
    return inBlocks(left, right, (l, r, frame) => {
      if (frame >= left.length / 2) fader.target = later;
      fader.process(l, r);
    });
  },

  /** Fades by a script: frame -> ["in" | "out", frames]. */
  fade({ frames, script }) {
    const fade = new Fade();
    const silent = [];
    const ones = Array(frames).fill(1);
    const [gains] = inBlocks(ones, ones, (l, r, frame) => {
      if (script[frame]) fade[script[frame][0]](script[frame][1]);
      fade.process(l, r);
      silent.push(fade.isSilent);
    });
    return { gains, silent };
  },

  /** Plays a line to which chunks come at some blocks: block -> list of {stretch, left, right}. */
  line({ rateHz, blocks, chunks }) {
    const told = [];
    const port = { postMessage: (message) => told.push(message) };
    let filled = 0;
    const line = new Line(rateHz, port, () => filled++);
    const ends = [];
    const zeros = Array(blocks * BLOCK).fill(0);
    const sides = inBlocks(zeros, zeros, (l, r, frame) => {
      for (const { stretch, left, right } of chunks[frame / BLOCK] ?? []) {
        port.onmessage({ data: { stretch, left: Float32Array.from(left), right: Float32Array.from(right) } });
      }
      line.read(l, r);
      line.tell();
      line.tell();
      ends.push([line.frames, line.underruns]);
    });
    return { sides, told, filled, ends };
  },

  recorder({ rateHz, left, right, frames, finishAt }) {
    const parts = [];
    const recorder = new Recorder(frames, rateHz, (samples, isLast) => parts.push([Array.from(samples), isLast]));
    inBlocks(left, right, (l, r, frame) => {
      if (frame === finishAt) recorder.finish();
      if (!recorder.isDone) recorder.add(l, r);
    });
    return parts;
  },
};

const { kind, ...rest } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(on[kind](rest)));
