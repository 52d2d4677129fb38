"""Guided lessons: what they are made of, what they measure, and how one goes through them."""
