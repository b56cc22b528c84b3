"""What a fault at each phase of a round costs, in a federation of real startup kits on one machine."""
