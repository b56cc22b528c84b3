"""What a round costs by the number of sites and parameters: seconds by phase, bytes, memory."""
