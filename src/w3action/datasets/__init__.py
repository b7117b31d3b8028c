"""Data sets: made into manifests (`sets`), checked (`doctor`), packed for fast reading (`pack`), turned into flow."""
