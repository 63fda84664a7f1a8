"""Learning records, for stores of other systems."""
