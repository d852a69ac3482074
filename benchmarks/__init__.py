"""Speed, side by side with a textbook Keras and a PyTorch implementation; see docs/performance.md."""
