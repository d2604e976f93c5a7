"""What we measure and how. Imports downwards; nobody imports this package."""
