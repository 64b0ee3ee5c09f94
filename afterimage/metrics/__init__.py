"""Scores of latents and pictures: definitions, protocols by name, controls and their statistics."""
