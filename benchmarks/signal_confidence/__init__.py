"""How many decibels a reading has, told by itself: the fit of its constants, and the curve that checks them."""
