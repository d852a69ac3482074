"""Sets of settings of a training, which flags override."""

_ASMR_16K = {
    "wavegan_dim": 16,
    "train_batch_size": 16,
    "wavegan_genr_noise": True,
    "wavegan_genr_noise_relative": True,
    "wavegan_genr_noise_bits": 16,
    "wavegan_disc_phaseshuffle_per": "example",
    "wavegan_genr_texture": 5.0,
    "wavegan_loss": "hinge",
    "wavegan_disc_nupdates": 1,
    "wavegan_gp_lambda": 0.1,
    "wavegan_gp_every": 4,
    "wavegan_genr_lr": 5e-4,
    "wavegan_lr_hold": 1000,
}

PRESETS = {
    "paper": {},
    "asmr": _ASMR_16K
    | {
        "data_sample_rate": 44100,
        "data_num_channels": 2,
        "data_slice_len": 65536,
        "data_balance_levels": True,
        "wavegan_bands": 16,
        "wavegan_genr_noise_pulses": True,
        # Phase shuffle lets pieces share their samples.
        "wavegan_genr_likeness": 40.0,
    },
    "asmr-16k": _ASMR_16K,
    "oneshots": _ASMR_16K
    | {
        "data_first_slice": True,
        "data_pad_end": True,
        "wavegan_genr_texture": 1.0,
        "wavegan_disc_levels": 128,
        "wavegan_loss": "rpgan",
    },
}
"""Values of --preset -> settings that take the place of the defaults, which are those of the reference."""

FROM_RECORDINGS = {"asmr": ("data_sample_rate", "data_num_channels")}
"""Values of --preset -> settings that follow from the recordings where they can be read."""
