"""Traces read from the lines that a PDF draws, not from its pixels.

grid.py      the millimetre, from the lines of the grid
strokes.py   which lines are traces: pieces joined, outlines of filled traces reduced to their middle
pulses.py    calibration pulses, taken off the traces
rows.py      which traces stand in one row
print.py     lead names, speed and gain, from the text
timing.py    where each lead begins, to the sample
"""
