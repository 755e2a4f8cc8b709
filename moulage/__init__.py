"""Transfer learning for skin-lesion images that can be trusted."""
