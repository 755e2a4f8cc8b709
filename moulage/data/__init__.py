"""Folders of images read into a catalogue, and its images into pixels."""
