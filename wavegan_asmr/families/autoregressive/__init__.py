"""What models have in common that make a sample after the other: classes, training by the next one, sampling."""
