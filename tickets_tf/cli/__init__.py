"""What each program does: flags in, one function called, one line and an exit code out."""
