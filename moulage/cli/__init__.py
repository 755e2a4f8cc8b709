"""Commands: parse words, call an action, print what it says."""
