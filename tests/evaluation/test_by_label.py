"""Figures of each label: those of its slices alone."""

import numpy as np

from wavegan_asmr.config import Config
from wavegan_asmr.evaluation import by_label, distances
from wavegan_asmr.families import family_of
from wavegan_asmr.sound import features

NAMES = ("rain", "waves", "none")
DIM = features.EMBEDDING_DIM


def test_each_label_is_compared_with_its_own_recordings():
    random = np.random.default_rng(0)
    recorded, labels = random.normal(0, 3, [400, DIM]), np.arange(400) % 2
    recorded[labels == 1] += 20
    generated, asked = random.normal(0, 3, [212, DIM]), np.arange(212) % 2
    # Rain is as recorded; what should be waves is rain, too.
    rain, waves, none = by_label.compare(generated, asked, recorded, labels, NAMES)
    assert (rain.generated, rain.recorded, waves.generated, waves.recorded) == (106, 200, 106, 200)
    assert (rain.nearest_label, waves.nearest_label) == ("rain", "rain")
    own = distances.frechet_distance(generated[asked == 0], recorded[labels == 0])
    assert rain.frechet_distance == own < waves.frechet_distance / 10
    scale = recorded.std(axis=0)
    expected = distances.kernel_distance(generated[asked == 0] / scale, recorded[labels == 0] / scale)
    np.testing.assert_allclose((rain.kernel_distance, rain.error), expected)
    assert (none.generated, none.frechet_distance, none.kernel_distance, none.nearest_label) == (0, None, None, None)


def test_few_slices_have_no_frechet_distance():
    random = np.random.default_rng(0)
    few = by_label.compare(
        random.normal(size=[4, DIM]), np.zeros(4, int), random.normal(size=[DIM, DIM]), np.zeros(DIM, int), ("a", "b")
    )
    assert few[0].frechet_distance is None and few[0].kernel_distance is not None


def test_labels_of_inputs_are_those_drawn():
    config = Config(wavegan_latent_dim=3, label_names=("a", "b"), label_shares=(0.5, 0.5), data_conditions=("level",))
    inputs = family_of(config).draw(config, np.random.default_rng(0), 20)
    assert (by_label.labels_of(inputs, config) == inputs[:, 4]).all()
