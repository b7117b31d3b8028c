"""A trained network at work: what is done in a video, and where the network looked."""
