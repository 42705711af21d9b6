"""Blobs: storing, reading, and what refers to them."""
