"""Sound as it lies in files and arrays: every format, the cache of decoded recordings, features, pictures."""
