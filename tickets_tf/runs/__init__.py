"""What one run is: its settings, its name and files, the runs before it, its record; no TensorFlow."""
