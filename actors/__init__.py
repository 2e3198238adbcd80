"""The house of the actors: a generic kernel (`runtime`), the vocabulary (`domain`) and what is built of both."""
