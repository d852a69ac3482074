"""Writes the tables of these pages from the declarations that they describe: `python -m docs.tables`.

A table follows a line `<!-- table NAME -->`. A test holds the pages to what this writes, and with them the page on the
models that come with the project, models/README.md.
"""

import dataclasses
import pathlib
import re

from docs import models_page
from wavegan_asmr.classification.settings import InceptionSettings, LabelSettings
from wavegan_asmr.command_line import (
    backup,
    cases,
    check,
    export,
    flags,
    gallery,
    listen_test,
    play,
    push,
    share,
    train,
)
from wavegan_asmr.command_line.checkpoints import CheckpointSettings
from wavegan_asmr.command_line.main import VERBS
from wavegan_asmr.config import Config
from wavegan_asmr.evaluation import metrics
from wavegan_asmr.evaluation.settings import EvaluationSettings
from wavegan_asmr.exchange.exporters import EXPORTERS
from wavegan_asmr.families import FAMILIES
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.networks.losses import LOSSES
from wavegan_asmr.rendering import formats
from wavegan_asmr.rendering.settings import AgainSettings, OutputSettings, PreviewSettings, RenderSettings
from wavegan_asmr.settings import KINDS

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_TABLE = re.compile(r"(<!-- table (\S+) -->\n)(?:\|.*\n)*")


def _rows(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def _flags(*kinds, chosen=None):
    rows = [row for kind in kinds for row in flags.table(kind, chosen)]
    return [*_rows(["flag", "default", "range", "meaning"], []), *rows]


def _losses():
    rows = [
        [f"`{name}`", loss.words, f"{loss.learning_rate:g}", "Adam {:g}, {:g}".format(*loss.betas)]
        if loss.betas
        else [f"`{name}`", loss.words, f"{loss.learning_rate:g}", "RMSProp"]
        for name, loss in LOSSES.items()
    ]
    reads = [", ".join(f"`--{each}`" for each in loss.reads) for loss in LOSSES.values()]
    return _rows(["loss", "what it is", "learning rate", "optimiser", "flags"], [[*a, b] for a, b in zip(rows, reads)])


def _measures():
    rows = [[f"`{name}`", f"`--{each.fader}`", each.words] for name, each in MEASURES.items()]
    return _rows(["measure", "its fader", "what it is"], rows)


def _verbs():
    return _rows(["command", "what it does"], [[f"`wavegan {verb}`", words] for verb, (_, words) in VERBS.items()])


def _is_common(field):
    """Whether a setting of a training is one of every family."""
    return all(family.reads(field.name) == FAMILIES["wavegan"].reads(field.name) for family in FAMILIES.values())


def _of_kind(kind):
    return lambda: _flags(Config, chosen=lambda field: field.metadata["kind"] == kind and _is_common(field))


def _of_family(prefix):
    def rows():
        chosen = [field for field in dataclasses.fields(Config) if field.name.startswith(prefix)]
        kinds = [field.metadata["kind"] for field in chosen]
        lines = flags.table(Config, lambda field: field in chosen)
        return [*_rows(["flag", "default", "range", "meaning", "kind"], []), *map("{} {} |".format, lines, kinds)]

    return rows


TABLES = {f"flags-{kind}": _of_kind(kind) for kind in KINDS if kind != "found"} | {
    "flags-train": lambda: _flags(train.DryRunSettings, train.WorkerSettings),
    "flags-nsml": lambda: _flags(train.NsmlSettings),
    "flags-check": lambda: _flags(check.PruneSettings),
    "flags-checkpoints": lambda: _flags(CheckpointSettings),
    "flags-preview": lambda: _flags(PreviewSettings),
    "flags-generate": lambda: _flags(
        OutputSettings, RenderSettings, AgainSettings, chosen=lambda field: field.name != "seconds"
    ),
    "flags-evaluate": lambda: _flags(EvaluationSettings),
    "flags-listen-test": lambda: _flags(listen_test.ListenTestSettings),
    "flags-classify": lambda: _flags(LabelSettings),
    "flags-incept": lambda: _flags(InceptionSettings),
    "flags-gallery": lambda: _flags(gallery.GallerySettings),
    "flags-cases": lambda: _flags(cases.CasesSettings),
    "flags-play": lambda: _flags(play.PlaySettings),
    "flags-export": lambda: _flags(export.ExportSettings),
    "flags-share": lambda: _flags(share.ShareSettings),
    "flags-push": lambda: _flags(push.PushSettings),
    "flags-backup": lambda: _flags(backup.BackupSettings),
    "verbs": _verbs,
    "families": lambda: _rows(["family", "what it is"], [[f"`{f.name}`", f.words] for f in FAMILIES.values()]),
    **{f"flags-{prefix}": _of_family(f"{prefix}_") for prefix in ("wavegan", "wavenet", "lstm", "autoregressive")},
    "losses": _losses,
    "measures": _measures,
    "metrics": lambda: [*_rows(["metric", "what it says", "how it is measured", "good is"], []), *metrics.table()],
    "formats": formats.table,
    "exporters": lambda: _rows(
        ["format", "file", "what it is", "--precision"],
        [[f"`{name}`", e.ending or "a folder", e.words, ", ".join(e.precisions)] for name, e in EXPORTERS.items()],
    ),
}
"""Name of a table -> function that returns its lines."""


def write(text):
    """Returns the text of a page with its tables as they should be."""
    return _TABLE.sub(lambda match: match[1] + "".join(f"{line}\n" for line in TABLES[match[2]]()), text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(write(page.read_text()))
    models_page.write()
