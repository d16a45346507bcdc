"""Measurements of the whole product; each prints its figures with the machine named."""
