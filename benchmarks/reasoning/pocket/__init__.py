"""Models of two sizes, trained on the tasks of the laboratory. `train` makes them, `exam` measures them."""
