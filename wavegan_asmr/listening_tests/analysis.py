"""What the ratings of a listening test come to: means with intervals, preferences with sign tests."""

import dataclasses
import itertools

import numpy as np
import scipy.stats

from wavegan_asmr import words

SCALES = ("quality", "naturalness")

_RESAMPLES = 10000
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean rating of a sound.

    Attributes:
        sound, scale: Strings.
        value: Float, 0 to 100.
        low, high: Floats, its bootstrap 95 % interval over listeners, or None of a single listener.
    """

    sound: str
    scale: str
    value: float
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Preference:
    """How often one sound was rated above another one in the same trial.

    Attributes:
        first, second, scale: Strings.
        wins, losses, ties: Integers, of the first.
        p: Float, of a two-sided sign test, ties left out.
    """

    first: str
    second: str
    scale: str
    wins: int
    losses: int
    ties: int
    p: float

    @property
    def share(self):
        """The share of trials in which the first was preferred, ties left out; None where there are ties alone."""
        return self.wins / (self.wins + self.losses) if self.wins + self.losses else None


def means(results):
    """Returns the mean ratings, a list of `Mean`, scale by scale in the order of the sounds; controls are left out.

    Args:
        results: List of `results.Result`.
    """
    by_listener = _ratings(results).mean(axis=1)  # [listeners, sounds, scales]
    random = np.random.default_rng(_SEED)
    drawn = random.integers(len(results), size=[_RESAMPLES, len(results)])
    resampled = np.stack([by_listener[each].mean(axis=0) for each in drawn])  # [resamples, sounds, scales]
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    found = []
    for (column, scale), (row, sound) in itertools.product(enumerate(SCALES), enumerate(results[0].sounds)):
        interval = (float(low[row, column]), float(high[row, column])) if len(results) > 1 else (None, None)
        found.append(Mean(sound, scale, float(by_listener[:, row, column].mean()), *interval))
    return found


def preferences(results):
    """Returns how often each sound was preferred to each other one, a list of `Preference`; controls are left out.

    Args:
        results: List of `results.Result`.
    """
    ratings = _ratings(results)
    found = []
    for (first, a), (second, b) in itertools.combinations(enumerate(results[0].sounds), 2):
        for column, scale in enumerate(SCALES):
            difference = ratings[:, :, first, column] - ratings[:, :, second, column]
            wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
            p = scipy.stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
            found.append(Preference(a, b, scale, wins, losses, int((difference == 0).sum()), float(p)))
    return found


def control(results):
    """Returns how far apart each listener has rated what is the same, on the mean of all scales and controls.

    Args:
        results: List of `results.Result`.

    Returns:
        Dict of a listener to the largest less the smallest rating, a float; empty where the test has no control.
    """
    spreads = {
        result.listener: [
            np.ptp([getattr(rating, scale) for rating in trial.ratings])
            for trial in result.trials
            if trial.is_control
            for scale in SCALES
        ]
        for result in results
    }
    return {listener: float(np.mean(found)) for listener, found in spreads.items() if found}


def describe(results):
    """Returns all of it as text, several lines.

    Args:
        results: List of `results.Result`.
    """
    first, trials = results[0], sum(not trial.is_control for trial in results[0].trials)
    names = {sound: words.printable(sound) for sound in first.sounds}
    lines = [
        f"test      {words.printable(first.test)}, seed {first.seed}: {_count(len(results), 'listener')}, "
        f"{_count(trials, 'trial')} of {len(first.sounds)} sounds each",
        "",
    ]
    width = max(5, *map(len, names.values()))
    cells = {(each.sound, each.scale): _mean(each) for each in means(results)}
    lines.append(f"{'sound':<{width}}  {SCALES[0]:<18}  {SCALES[1]}")
    for sound, name in names.items():
        lines.append(f"{name:<{width}}  {cells[sound, SCALES[0]]:<18}  {cells[sound, SCALES[1]]}")
    lines.append("")
    preferred = [(f"{names[each.first]} over {names[each.second]}", each) for each in preferences(results)]
    width = max(9, *(len(pair) for pair, _ in preferred))
    lines.append(f"{'preferred':<{width}}  {'scale':<11}  share  trials  ties  p")
    for pair, each in preferred:
        share = "" if each.share is None else f"{100 * each.share:.0f} %"
        trials = each.wins + each.losses
        lines.append(f"{pair:<{width}}  {each.scale:<11}  {share:>5}  {trials:>6}  {each.ties:>4}  {each.p:.2g}")
    if spreads := control(results):
        widest = max(spreads, key=spreads.get)
        lines += [
            "",
            f"control   the same sound was rated {np.mean(list(spreads.values())):.1f} apart; the most, "
            f"{spreads[widest]:.1f}, by listener {words.printable(widest)}",
        ]
    return "\n".join(lines)


def _ratings(results):
    """Ratings without those of controls, float `[listeners, trials, sounds, scales]`."""
    sounds = results[0].sounds
    return np.array(
        [
            [
                [[getattr(rating, scale) for scale in SCALES] for rating in sorted(trial.ratings, key=_place(sounds))]
                for trial in result.trials
                if not trial.is_control
            ]
            for result in results
        ],
        float,
    )


def _place(sounds):
    return lambda rating: sounds.index(rating.sound)


def _mean(mean):
    interval = "" if mean.low is None else f" [{mean.low:.1f}, {mean.high:.1f}]"
    return f"{mean.value:.1f}{interval}"


def _count(count, word):
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
