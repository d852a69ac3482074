"""Stand-in of the platform's module, which does what the platform's documents say of it.

NSML_STAND_IN tells it of the session, as JSON: `name`, `storage` (the platform's folder of checkpoints, by session and
name), `dataset` (folder or None), `command` (run, fork or submit) and, for the last two, `parent`, the session whose
checkpoint is loaded. What the platform gets is in `STORAGE/NAME.jsonl`. Without it, it is the package of that name for
other machines, whose functions are not for use.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

_SESSION = json.loads(os.environ.get("NSML_STAND_IN", "{}"))

IS_ON_NSML = bool(_SESSION)
HAS_DATASET = bool(_SESSION.get("dataset"))
DATASET_PATH = _SESSION.get("dataset") or ""
DATASET_NAME = pathlib.Path(DATASET_PATH).name
GPU_NUM = 0

_bound = {}


def bind(save=None, load=None, infer=None, **kwargs):
    _tell("bind")
    _bound.update(save=save, load=load, infer=infer, kwargs=kwargs)


def save(checkpoint=None, save_fn=None):
    """Has a folder written that is then uploaded; what is there of that name is overwritten."""
    assert checkpoint is None or isinstance(checkpoint, str)
    target = _checkpoints(_SESSION["name"]) / checkpoint
    with tempfile.TemporaryDirectory() as folder:
        (save_fn or _bound["save"])(folder, **_bound["kwargs"])
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
    _tell("save", checkpoint=checkpoint)


def load(checkpoint, load_fn=None, session=None):
    """Downloads a checkpoint into a folder that is there for the function alone."""
    with tempfile.TemporaryDirectory() as folder:
        source = _checkpoints(session or _SESSION["name"]) / checkpoint
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (load_fn or _bound["load"])(folder)
    _tell("load", checkpoint=checkpoint)


def paused(scope=None):
    """Evaluates the command that began the session, in the scope of the entry; after a submission the test too."""
    assert _bound, "nsml.bind comes before nsml.paused"
    _tell("paused")
    scope = dict(scope)
    exec(f"nsml.load(checkpoint={_iteration()!r}, session={_SESSION['parent']!r})", scope)
    if _SESSION["command"] == "submit":
        # The data of the test are there from now on.
        data = json.loads(pathlib.Path(DATASET_PATH, "test", "test_data").read_text())
        answer = _bound["infer"](data)
        _tell("submit", answer=answer.tolist())


def report(summary=False, scope=None, **kwargs):
    _tell("report", summary=summary, **kwargs)


def _iteration():
    """The checkpoint of --iteration, or the last one by time."""
    if "--iteration" in sys.argv:
        return sys.argv[sys.argv.index("--iteration") + 1]
    folders = _checkpoints(_SESSION["parent"]).iterdir()
    return max(folders, key=lambda folder: folder.stat().st_mtime_ns).name


def _checkpoints(session):
    return pathlib.Path(_SESSION["storage"], session)


def _tell(what, **values):
    assert IS_ON_NSML, f"nsml.{what} outside of the platform"
    with open(_checkpoints(f"{_SESSION['name']}.jsonl"), "a") as log:
        log.write(json.dumps({"what": what, **values}) + "\n")
