"""Screens of the dashboard: the main one, and those that lie over it."""
