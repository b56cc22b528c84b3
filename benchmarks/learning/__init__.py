"""A model learnt by sites in memory, by whatever method: what the benchmarks of tasks share."""
