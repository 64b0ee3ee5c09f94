"""A simulated brain, the pictures it sees, and writers of the raw release layouts."""
