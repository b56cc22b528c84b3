"""What is printed on a page about the paper: its speed and its gains, read by an OCR library where one is installed."""
