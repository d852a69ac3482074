"""Long short-term memory (Hochreiter and Schmidhuber 1997) on samples."""
