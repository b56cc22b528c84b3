"""Changed inputs for every parser: nothing but a result or an EcgFlareError may come of one, within a bound of time."""
