"""What a sanity check asks, and the way from the accuracies of runs to verdicts; nothing here runs anything."""
