"""Callbacks for libraries that train."""
