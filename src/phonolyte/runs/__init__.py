"""Runs: folders, records, campaigns over many crystals, executors, citations."""
