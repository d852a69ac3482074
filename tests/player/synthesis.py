"""Runs what the page makes its sound with, in Node."""

import base64
import json
import pathlib
import re
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "wavegan_asmr" / "player" / "player.html"


class Synthesis:
    """What the page makes its sound with.

    Args:
        folder: `pathlib.Path`, for what goes in and comes out.
    """

    def __init__(self, folder):
        self.folder = folder

    def run(self, work, arrays=(), **job):
        """Does one of the works of synthesis.mjs.

        Args:
            work: String, its name.
            arrays: Dictionary of arrays, what it reads from files.
            **job: What it is told.

        Returns:
            Its answer.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        for name, array in dict(arrays).items():
            array.tofile(self.folder / name)
            job[name] = str(self.folder / name)
        path = self.folder / "job.json"
        path.write_text(json.dumps(job | {"work": work, "folder": str(self.folder)}))
        line = ["node", str(pathlib.Path(__file__).with_suffix(".mjs")), str(path)]
        process = subprocess.run(line, capture_output=True, text=True, timeout=300)
        if process.returncode:
            raise RuntimeError(process.stderr)
        return json.loads(process.stdout)

    def read(self, name, dtype=np.float32):
        """Returns an array that the last work has written."""
        return np.fromfile(self.folder / name, dtype)

    def kernel(self):
        """Returns the path of the kernel, taken out of the page."""
        (text,) = re.findall(r'<script type="text/plain" id="kernel">(.*?)</script>', PAGE.read_text(), re.DOTALL)
        path = self.folder / "kernel.wasm"
        path.write_bytes(base64.b64decode(text))
        return str(path)
