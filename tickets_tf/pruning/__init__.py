"""Which weights are kept: masks, scores into masks, allocations, patterns and the table of rules; no TensorFlow."""
