"""Settings of classifiers and of the inception score."""

import dataclasses

from wavegan_asmr.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class LabelSettings(Settings):
    """How recordings are labelled and divided."""

    label_pattern: str = setting("", "Regular expression with one group, the label in a file's name.")
    test_pattern: str = setting("", "Regular expression that finds something in the names of the test files only.")


@dataclasses.dataclass(frozen=True)
class InceptionSettings(Settings):
    """How the inception score is measured."""

    incept_classifier: str = setting("", "Folder of a classifier that classify trained.", is_path=True)
    incept_n: int = setting(5000, "Slices to generate.", at_least=1, at_most=10_000_000)
    incept_k: int = setting(10, "Splits of these slices, for the error of the score.", at_least=1, at_most=10_000_000)
