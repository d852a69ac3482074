"""Blind listening tests: a page of excerpts to rate, and what the ratings come to."""
