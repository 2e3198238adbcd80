"""The REST side: one module a resource; parse, ask, render."""
