"""Times real time of a generator in the runtimes that it can be exported to, and in the page that plays."""

import base64
import dataclasses
import json
import os
import re
import shutil
import subprocess
import tempfile

from absl import flags

from benchmarks import common

USAGE = """Times real time of untrained generators, a clip at a time: by TensorFlow, onnxruntime and LiteRT on one
thread and on all of them, and in Node by the page's kernel and by onnxruntime-web.

    python -m benchmarks.runtimes
    python -m benchmarks.runtimes --dims 16 --sounds "44.1 kHz stereo"
"""

SOUNDS = {
    "16 kHz mono": {"preset": "asmr-16k"},
    "44.1 kHz stereo": {"preset": "asmr", "data_sample_rate": 44100, "data_num_channels": 2},
}
"""Name -> settings of a training."""

_SCRIPT = os.path.splitext(os.path.abspath(__file__))[0] + ".mjs"
_ONNXRUNTIME_WEB = "onnxruntime-web@1.30.0"

flags.DEFINE_list("dims", ["16", "32", "64"], "Widths of the networks.")
flags.DEFINE_list("sounds", [], f"What they make, among {', '.join(SOUNDS)}; default: both.")
flags.adopt_module_key_flags(common)


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    dims, sounds = common.integers("dims", at_least=1), common.names("sounds", SOUNDS)
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    measured, rows, lengths_s = {}, [], {}
    with tempfile.TemporaryDirectory() as folder:
        _fetch_onnxruntime_web(folder)
        for sound in sounds:
            for dim in dims:
                case = f"{sound}, {dim}"
                place = os.path.join(folder, case)
                lengths_s[case] = common.call(prepare, folder=place, settings=SOUNDS[sound] | {"wavegan_dim": dim})
                measured[case] = common.race(_contestants(place, folder), values.rounds, values.turn_s, case)
                shutil.rmtree(place)
    for case, outcomes in measured.items():
        for name, outcome in outcomes.items():
            if seconds := outcome.median():
                rows.append([case, name, 1000 * seconds, lengths_s[case] / seconds])
    header = ["sound, width", "runtime", "ms a clip", "x real time"]
    names = list(dict.fromkeys(row[1] for row in rows))
    series = {
        name: [next((row[3] for row in rows if row[:2] == [case, name]), None) for case in measured] for name in names
    }
    figure = common.bars(list(measured), series, "times real time", "Runtimes (more is better)", is_log=True)
    facts = {"lengths_s": lengths_s, "outcomes": measured}
    common.report("runtimes", "Runtimes", machine, facts, [common.table(header, rows)], figure, values.results_dir)


def _fetch_onnxruntime_web(folder):
    """Fetches the package into a folder; without it there is one contestant less."""
    line = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, _ONNXRUNTIME_WEB]
    try:
        subprocess.run(line, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        common.say(f"runtimes: left out: {_ONNXRUNTIME_WEB}: {error}")


def _contestants(place, folder):
    one, every = 1, os.cpu_count()
    makers = {"TensorFlow": time_tensorflow, "onnxruntime": time_onnx, "LiteRT": time_litert}
    found = [
        common.Contestant(f"{name}, {threads} thread{'s' * (threads > 1)}", make, {"folder": place, "threads": threads})
        for name, make in makers.items()
        for threads in dict.fromkeys([one, every])
    ]
    works = {"the page, WebAssembly SIMD": "kernel", "the page, JavaScript": "plain", "onnxruntime-web": "onnx"}
    return found + [
        common.Contestant(name, time_node, {"folder": place, "work": work, "modules": folder}, may_fail=True)
        for name, work in works.items()
    ]


@dataclasses.dataclass
class Untrained:
    """A generator that nobody has trained, in place of `families.generators.Generator`."""

    config: object
    family: object
    network: object
    train_dir: str = "untrained"
    step: int = 0
    digest: str = ""


def make_generator(settings):
    """Builds a generator, its weights as drawn."""
    from wavegan_asmr.families import family_of
    from wavegan_asmr.training.settling import new_config

    config = new_config(settings)
    family = family_of(config)
    return Untrained(config, family, family.build_generator(config))


def prepare(folder, settings):
    """Exports a generator into a folder for all contestants; returns the seconds of a clip."""
    from wavegan_asmr.exchange import litert, onnx_model
    from wavegan_asmr.player import packing

    os.makedirs(folder)
    with open(os.path.join(folder, "settings.json"), "w") as file:
        json.dump(settings, file)
    generator = make_generator(settings)
    onnx_model.write(generator, os.path.join(folder, "model.onnx"), "float32")
    litert.write(generator, os.path.join(folder, "model.tflite"), "float32")
    facts, weights = packing.pack_network(generator.network)
    config = generator.config
    facts |= {
        "slice_len": config.data_slice_len,
        "channels": config.data_num_channels,
        "latent_dim": config.wavegan_latent_dim,
    }
    with open(os.path.join(folder, "header.json"), "w") as file:
        json.dump(facts, file)
    weights.tofile(os.path.join(folder, "weights"))
    with open(os.path.join(common.ROOT, "wavegan_asmr", "player", "player.html"), encoding="utf-8") as file:
        kernel = re.search(r'id="kernel">([^<]*)<', file.read())[1]
    with open(os.path.join(folder, "kernel.wasm"), "wb") as file:
        file.write(base64.b64decode(kernel))
    return config.slice_s


def time_tensorflow(folder, threads):
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with open(os.path.join(folder, "settings.json")) as file:
        generator = make_generator(json.load(file))
    generate = tf.function(lambda z: generator.network(z, training=False))
    z = np.random.default_rng(0).uniform(-1, 1, [1, generator.config.wavegan_latent_dim]).astype(np.float32)
    return common.timed(lambda: generate(tf.constant(z)).numpy())


def time_onnx(folder, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), options)
    shapes = {each.name: [1, *each.shape[1:]] for each in session.get_inputs()}
    return common.timed(lambda: session.run(["audio"], _draw(shapes)))


def time_litert(folder, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(os.path.join(folder, "model.tflite"), num_threads=threads)
    generate = interpreter.get_signature_runner()
    shapes = {name: facts["shape"] for name, facts in generate.get_input_details().items()}
    return common.timed(lambda: generate(**_draw(shapes)))


def _draw(shapes):
    """Inputs of a clip; noise is drawn for every clip, as TensorFlow and the page do."""
    import numpy as np

    random = np.random.default_rng()
    return {name: random.random(shape, np.float32) * (2 * 3**0.5) - 3**0.5 for name, shape in shapes.items()}


def time_node(folder, work, modules):
    """A process of Node, which is asked for turns."""
    line = ["node", _SCRIPT, work, folder, os.path.join(modules, "node_modules", "onnxruntime-web")]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(least_s):
        process.stdin.write(f"{least_s}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"node ended with {process.wait()}")
        return {"seconds": float(answer)}

    return turn


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
