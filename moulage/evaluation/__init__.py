"""Numbers drawn from predictions, with their uncertainty."""
