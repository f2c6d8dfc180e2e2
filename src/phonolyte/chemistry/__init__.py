"""Elements, ions and their charges."""
