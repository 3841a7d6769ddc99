"""Panels and bars of the dashboard. They draw the state and change nothing."""
