"""Ratios of things done in turn, since machines are shared and noisy. One module for each thing that is measured."""
