"""Synthetic dermatoscopic images with known diagnoses and known faults."""
