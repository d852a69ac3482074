// Times a generator in Node: node runtimes.mjs kernel|plain|onnx FOLDER ONNXRUNTIME-WEB. For each number of seconds that it
// reads it generates for about so long, and prints the mean seconds of a clip.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [work, folder, onnxruntimeWeb] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const header = JSON.parse(read("header.json"));
const draw = (count) => Float32Array.from({ length: count }, () => (2 * Math.random() - 1) * Math.sqrt(3));

async function makePage(kernel) {
  const { Model } = await import(new URL("../player/src/synthesis/model.js", import.meta.url));
  const model = new Model(header, new Float32Array(new Uint8Array(read("weights")).buffer), kernel);
  return () => model.generate(draw(header.latent_dim));
}

async function makeOnnx() {
  const { main } = JSON.parse(readFileSync(`${onnxruntimeWeb}/package.json`, "utf8"));
  const { default: ort } = await import(`${onnxruntimeWeb}/${main}`);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(read("model.onnx"));
  let positions = header.dense.positions;
  const shapes = { z: [1, header.latent_dim] };
  for (const { noise, inputs, stride } of header.layers) {
    if (noise) shapes[`noise_${noise.index}`] = [1, positions, inputs];
    positions *= stride;
  }
  const tensor = (shape) => new ort.Tensor("float32", draw(shape.reduce((a, b) => a * b)), shape);
  return () => session.run(Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tensor(shape)])));
}

const makers = { kernel: () => makePage(read("kernel.wasm")), plain: () => makePage(null), onnx: makeOnnx };
const generate = await makers[work]();
for await (const line of createInterface({ input: process.stdin })) {
  const start = performance.now();
  let count = 0;
  do {
    await generate();
    count++;
  } while (performance.now() - start < 1000 * Number(line));
  console.log((performance.now() - start) / 1000 / count);
}
