"""What the programs in bin/ do: flags in, one line and an exit code out."""
