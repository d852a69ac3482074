"""What all GANs have in common: the game, its settings, its training."""
