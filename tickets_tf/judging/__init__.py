"""From the accuracies of runs to verdicts; no TensorFlow."""
