"""Pretrained backbones as chains of stages, heads upon them, weights beneath."""
