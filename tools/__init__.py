"""What makes the files that moulage ships; nothing here is installed with it."""
