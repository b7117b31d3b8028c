"""Evidence: the paper's tables run again on other data, every row with the same trainer, several seeds each.

The way of a table: `tables` (which rows) -> `jobs` (one run for each row and seed, none done twice) -> `statistics`
(mean, spread, paired differences) -> `report` (JSON, CSV, a page with plots). `gaze` asks whether masks look at the
hand.
"""
