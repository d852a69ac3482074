"""Settings of evaluations."""

import dataclasses

from wavegan_asmr.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class EvaluationSettings(Settings):
    """What is measured."""

    eval_n: int | None = setting(
        None,
        "Generated slices, and at most as many recorded ones; default: 1000, or 128 of families that take long.",
        at_least=1,
        at_most=1_000_000,
    )
    eval_anchors: bool = setting(
        False,
        "Also measure what one has without a model: the recordings cut up and cross-faded, quilted, and noise of their "
        "statistics; once for all checkpoints.",
    )
    compare: bool = setting(False, "One table for several TRAIN_DIRs.")
