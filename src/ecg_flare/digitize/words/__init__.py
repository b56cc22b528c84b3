"""What a page prints of its paper and of the machine's measurements, read by an OCR library where one is installed."""
