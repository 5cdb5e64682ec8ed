"""Question sets: read from any usual form, checked, made from a home, reviewed."""
