"""Explanations of one prediction: masks over frames, as pictures, a film and a page."""
