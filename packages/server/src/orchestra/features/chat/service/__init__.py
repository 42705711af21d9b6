"""Conversations, and turns in them."""
