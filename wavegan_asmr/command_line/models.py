"""`wavegan models`."""

import sys

from wavegan_asmr import named_models, words
from wavegan_asmr.errors import UserError

USAGE = """The models that come with the project, which verbs know by name, and what they were trained on.

    wavegan models
    wavegan generate rain --minutes 10 --out rain.flac
"""

SETTINGS = ()

_COLUMNS = ("model", "sound", "recordings", "their licence", "trained", "verdict", "Fréchet", "floor", "size")


def main(arguments, flags):
    if arguments:
        raise UserError(f"models takes no arguments. Received: {' '.join(arguments)!r}.")
    paths = named_models.find_all()
    if not paths:
        print(named_models.describe_none())
        return
    from wavegan_asmr.exchange import model_facts

    described, wrong = [], []
    for path in paths.values():
        try:
            described.append(model_facts.describe(path))
        except UserError as error:
            wrong.append(str(error))
    _show(described)
    if wrong:
        raise UserError("; ".join(wrong))


def _show(described):
    import rich.console
    import rich.table

    table = rich.table.Table(*_COLUMNS, box=None, pad_edge=False)
    for model in described:
        # A name or a licence may look like markup.
        table.add_row(*map(rich.text.Text, map(words.printable, _row(model))))
    console = rich.console.Console(file=sys.stdout)
    # Logs are as wide as the table.
    if not console.is_terminal:
        console = rich.console.Console(file=sys.stdout, width=200)
    console.print(table)


def _row(model):
    """Returns what the table says of a `model_facts.Described`, a list of strings."""
    from wavegan_asmr.exchange.model_facts import parse_sources
    from wavegan_asmr.progress import clock

    facts, frechet = model.facts, model.facts.find("frechet_distance")
    licences = dict.fromkeys(source.license for source in parse_sources(facts.sources))
    return [
        model.name,
        model.sound,
        f"{facts.seconds:.0f} s" if facts.recordings else "",
        ", ".join(licences) or ("see its card" if facts.sources else "not stated"),
        "" if facts.trained_s is None else clock(round(facts.trained_s)),
        ", ".join(name for name, _ in facts.verdicts),
        f"{frechet.value:.3g}" if frechet else "",
        f"{frechet.floor:.3g}" if frechet and frechet.floor is not None else "",
        model.size,
    ]
