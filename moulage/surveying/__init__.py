"""What the data is: its distributions, duplicates, telltales, labels and faults."""
