"""SQL texts (migrations, functions, queries, projections) and their loader."""
