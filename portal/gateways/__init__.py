"""Doors to the outside. A call ends in one of a few ways, told apart because each asks for something else."""
