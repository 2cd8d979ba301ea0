"""Timings of two things in turn; what is kept is their ratio, since machines are shared and noisy."""
