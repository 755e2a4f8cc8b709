"""Images assigned to parts so that no lesion is in two of them."""
