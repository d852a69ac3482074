"""What can be trained: model families, each a folder behind the interface of `family.Family`.

To add one, write its folder and name it in `FAMILIES`: --family, training, preview, evaluation, rendering, export and
backup know it only through that interface.
"""

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.lstm.family import LSTM
from wavegan_asmr.families.specgan.family import SpecGAN
from wavegan_asmr.families.wavegan.family import WaveGAN
from wavegan_asmr.families.wavenet.family import WaveNet

FAMILIES = {family.name: family for family in (WaveGAN(), SpecGAN(), WaveNet(), LSTM())}
"""The registry: value of --family -> `family.Family`."""


def family_of(config):
    """Returns the `family.Family` of a `Config`.

    Raises:
        UserError: There is none of that name.
    """
    if config.family not in FAMILIES:
        raise UserError(f"--family must be one of {', '.join(FAMILIES)}. Received: {config.family!r}.")
    return FAMILIES[config.family]
