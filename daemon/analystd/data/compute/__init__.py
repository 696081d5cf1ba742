"""Computations over whole tables: filters, sort orders and profiles."""
