"""Many trainings at once: each case of a file is an ordinary training, started as a process."""
