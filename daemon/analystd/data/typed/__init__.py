"""Tables of formats that store types: Parquet, Arrow and Excel."""
