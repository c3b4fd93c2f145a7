"""The lines at the top of administrators’ pages: the mode in force, and what is paused or down."""
