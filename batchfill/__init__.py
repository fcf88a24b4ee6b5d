"""Inpaint pictures in bulk: never pay twice, never lose a paid image, never leak the token."""

__version__ = "0.1.0"
