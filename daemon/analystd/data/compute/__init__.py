"""What is computed over whole tables: filters, orders, profiles."""
