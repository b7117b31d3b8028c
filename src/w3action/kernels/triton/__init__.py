"""The Triton forms, each beside its operator's name, imported only where they run."""
