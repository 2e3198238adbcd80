"""What our server is measured against: each module is a program that prints where it listens."""
