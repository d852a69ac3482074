"""A few minutes of recordings in, hours of ASMR out; `docs/architecture.md` shows the wings of this package."""
