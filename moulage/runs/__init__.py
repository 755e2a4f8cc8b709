"""Study files opened into plain arguments, run, and kept in folders."""
