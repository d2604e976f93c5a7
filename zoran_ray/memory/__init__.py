"""What is remembered, and how it is kept. Pure: no Ray, no HTTP."""
