"""Iterations of a trainer, as the loop does them."""

from wavegan_asmr.training import loop


def iterate(trainer, slices, steps):
    """Some iterations from where a trainer is; returns the metrics of each, dicts of floats."""
    batches = iter(loop._distribute(trainer, slices, int(trainer.step.numpy())))
    return [{name: float(value) for name, value in trainer.iterate(batches).items()} for _ in range(steps)]
