"""Strategies against single answers at equal budgets, and the small models they are measured on."""
