"""Records turned into pages of one file each; no run folder is opened here."""
