"""What a review gains: photographs mended by a scripted person, and pages that train once they were confirmed."""
