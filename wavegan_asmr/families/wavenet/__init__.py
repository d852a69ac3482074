"""WaveNet (van den Oord et al. 2016): dilated causal convolutions."""
