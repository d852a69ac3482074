"""`wavegan play`."""

import dataclasses
import threading
import webbrowser

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering.settings import RenderSettings
from wavegan_asmr.settings import Settings, setting

USAGE = """Opens a page in the browser that plays trained models for ever, with a mixer and a sleep timer; until Ctrl-C.

    wavegan play TRAIN_DIR
    wavegan play RAIN FIRE WAVES --checkpoint best
    wavegan play TRAIN_DIR --port 8000 --noopen
    wavegan play TRAIN_DIR --label rain --intensity 0.3    begins with that, of a model that listens to it:
                                                           one label or mix, and numbers, which are held

Shared models do as well, and models by name (wavegan models). The page as a file:
wavegan export RAIN FIRE --format web --out night.html
"""


@dataclasses.dataclass(frozen=True)
class PlaySettings(Settings):
    """Where the page is served."""

    port: int = setting(
        0, "Port to listen at; 0 for 8484, or any that is free where that is taken.", at_least=0, at_most=65535
    )
    host: str = setting(
        "127.0.0.1",
        "Address to listen at. Browsers play the page from this machine, through a tunnel, by https or as a file; from "
        "another machine by plain http they do not.",
    )
    open: bool = setting(True, "Open the page in the browser.")


ASKED = (RenderSettings, ("label", "intensity", "brightness"))
"""What the page begins with."""

SETTINGS = (PlaySettings, checkpoints.ONE, ASKED)


def read_asked(flags):
    """Returns what the page begins with, `RenderSettings`, or None."""
    given = flags.given(RenderSettings)
    return RenderSettings(**given) if given else None


def main(arguments, flags):
    if not arguments or not all(arguments):
        raise UserError(
            f"play takes one or more TRAIN_DIRs: wavegan play ./rain ./fire. Received: {' '.join(arguments)!r}."
        )
    settings, checkpoint = flags.read(PlaySettings), checkpoints.read(flags)["checkpoint"]
    asked = read_asked(flags)
    paths = [named_models.find(each) for each in arguments]
    from wavegan_asmr.player import server

    # A port that is taken is said before the models are packed.
    with run.until_stopped(), server.listen(settings.host, settings.port) as listening:
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.player import page

        listening.show(page.build(paths, checkpoint, asked))
        print(f"page      {listening.url} until Ctrl-C", flush=True)
        if settings.open:
            # A browser of the terminal is waited for.
            threading.Thread(target=webbrowser.open, args=[listening.url], daemon=True).start()
        listening.serve_forever()
