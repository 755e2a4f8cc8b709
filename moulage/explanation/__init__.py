"""Why a classifier says so, and whether that explanation can be trusted."""
