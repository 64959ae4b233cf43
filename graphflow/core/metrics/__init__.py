"""Histograms, queue times and the flight recorder."""
