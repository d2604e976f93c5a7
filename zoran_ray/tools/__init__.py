"""What a model may use: tools with schema and permission, called through a `Toolbox`. Knows no model."""
