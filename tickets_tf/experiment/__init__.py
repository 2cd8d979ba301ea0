"""The stages of one run, and many runs."""
