"""Writes the page on the models that come with the project, models/README.md, from their folders."""

import os
import pathlib

from wavegan_asmr import named_models, words
from wavegan_asmr.exchange import model_facts
from wavegan_asmr.progress import clock

PAGE = pathlib.Path(named_models.FOLDER, "README.md")

_HEAD = ["model", "what it sounds like", "recordings", "trained, minutes", "verdict", "Fréchet distance", "size"]
_TEXT = """\
# Models that come with the project

    wavegan generate {name} --minutes 10 --out {name}.flac

A model is named by its folder, wherever the command is called; `wavegan models` lists them. Each has a card with its
settings and figures, its README.md. Fréchet distances stand beside those of the recordings from themselves (floor) and
of white noise, and do not compare between models. `python -m docs.tables` writes this page from what the folders hold.

| {head} |
| {line} |
{rows}

## Recordings

What the models have learned from, by whom and under which licence:

| model | recording | author | licence | more |
| --- | --- | --- | --- | --- |
{sources}
"""


def text():
    """Returns the page, or None where there are no models.

    Raises:
        UserError: A model is damaged; names the file.
    """
    models = [model_facts.describe(path) for path in named_models.find_all().values()]
    if not models:
        return None
    rows = [_line(_row(model)) for model in models]
    sources = [
        _line([model.name, each.recording, each.author, each.license, each.more])
        for model in models
        for each in model_facts.parse_sources(model.facts.sources)
    ]
    return _TEXT.format(
        name=words.shell(models[0].name),
        head=" | ".join(_HEAD),
        line=" | ".join(["---"] * len(_HEAD)),
        rows="\n".join(rows),
        sources="\n".join(sources),
    )


def write():
    """Writes the page; without models there is none."""
    if (page := text()) is None:
        PAGE.unlink(missing_ok=True)
    else:
        PAGE.write_text(page, encoding="utf-8")


def _row(model):
    facts, frechet = model.facts, model.facts.find("frechet_distance")
    files = os.listdir(os.path.join(named_models.FOLDER, model.name))
    links = [f"[{name}]({model.name}/{name})" for name in sorted(files) if name.endswith((".flac", ".wav", ".png"))]
    distance = "not measured"
    if frechet:
        beside = f" (floor {frechet.floor:.3g}, noise {frechet.noise:.3g})" if frechet.floor is not None else ""
        distance = f"{frechet.value:.3g}{beside}"
    return [
        f"[{model.name}]({model.name}/README.md)",
        f"{model.sound}: {', '.join(links)}",
        clock(round(facts.seconds)) if facts.recordings else "not known",
        "not known" if facts.trained_s is None else f"{facts.trained_s / 60:.0f}",
        ", ".join(name for name, _ in facts.verdicts) or "not known",
        distance,
        model.size,
    ]


def _line(cells):
    return f"| {' | '.join(words.printable(cell).replace('|', chr(92) + '|') for cell in cells)} |"
