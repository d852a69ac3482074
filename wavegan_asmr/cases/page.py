"""Finished files of all cases, and a page to listen to them.

runs/renders/NAME.flac, NAME.png    what `generate` makes of each
runs/index.html                     all of them
"""

import os
import subprocess
import sys

import jinja2

from wavegan_asmr import storage
from wavegan_asmr.cases.progress_files import read_progress
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

RENDERS, PAGE = "renders", "index.html"

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."), autoescape=True, undefined=jinja2.StrictUndefined
)


def render_all(runs, cases, minutes):
    """Renders a file of each case that has learned something, and writes the page.

    Args:
        runs: Path-like.
        cases: List of `cases_file.Case`.
        minutes: Float, the length of each.

    Returns:
        Dict of the name of a case to what went wrong with it, a string.
    """
    wrong, folder = {}, os.path.join(runs, RENDERS)
    os.makedirs(folder, exist_ok=True)
    for number, case in enumerate(cases):
        print(f"rendering {case.name}, {number + 1} of {len(cases)}", flush=True)
        if not any(TrainDir(os.path.join(runs, case.name)).steps()):
            wrong[case.name] = "it has learned nothing yet"
            continue
        out = os.path.join(folder, f"{case.name}.flac")
        arguments = [sys.executable, "-m", "wavegan_asmr", "generate", os.path.join(runs, case.name)]
        process = subprocess.run(
            [*arguments, f"--minutes={minutes}", f"--out={out}", "--overwrite"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if process.returncode:
            wrong[case.name] = (process.stderr.strip().splitlines() or ["failed"])[-1]
    write_page(runs, cases)
    return wrong


def write_page(runs, cases):
    """Writes the page of the files that are there.

    Raises:
        UserError: The folder cannot be written.
    """
    shown = []
    for case in cases:
        files = {kind: f"{RENDERS}/{case.name}.{kind}" for kind in ("flac", "png")}
        files = {kind: name for kind, name in files.items() if os.path.exists(os.path.join(runs, name))}
        if "flac" in files:
            shown.append({"name": case.name, "progress": read_progress(runs, case.name), "files": files})
    text = _TEMPLATES.get_template("page.html.jinja").render(cases=shown)
    try:
        storage.write_text(os.path.join(runs, PAGE), text)
    except OSError as error:
        raise UserError(f"cannot write {os.path.join(runs, PAGE)!r}: {error}.") from error
