"""Tags of a sound file, as players show them: what it was made of and how, without a name or a time.

They are a function of settings and models, so the same sound under two names is the same bytes.
"""

import dataclasses

_LONGEST = 1000
"""Characters; libsndfile reads comments of WAV files up to 2048 bytes."""


@dataclasses.dataclass(frozen=True)
class Tags:
    """Tags, of ASCII characters: MP3 files hold no others.

    Attributes:
        title, artist, comment: Strings.
    """

    title: str
    artist: str
    comment: str


def describe(settings, models, stretch_s=None):
    """Returns the `Tags` of a file.

    Args:
        settings: `RenderSettings`.
        models: Iterable of `Identity`.
        stretch_s: Pair of floats, seconds, the stretch of the whole that the file holds; None for all of it.
    """
    chosen = [f"seed={settings.seed}"]
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name != "seed" and value != field.default:
            chosen.append(field.name if value is True else f"{field.name}={_text(value)}")
    if stretch_s:
        chosen.append("stretch_s={:.3f},{:.3f}".format(*stretch_s))
    parts = [" ".join(chosen), *(f"step={identity.step} sha256={identity.digest}" for identity in models)]
    comment = "; ".join(parts)
    if len(comment) > _LONGEST:
        comment = f"{comment[: _LONGEST - 3]}..."
    return Tags(f"ASMR, seed {settings.seed}", "WaveGAN", comment)


def _text(value):
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return f"{value}".removesuffix(".0").encode("ascii", "backslashreplace").decode()
