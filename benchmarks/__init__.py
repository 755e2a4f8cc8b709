"""Measurements that print a table of ratios; each is a module, run alone or all together."""
