"""Tables whose file tells their types: Parquet and Arrow."""
