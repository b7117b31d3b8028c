"""Use: predict a video, and see where, when and what the network looked at."""
