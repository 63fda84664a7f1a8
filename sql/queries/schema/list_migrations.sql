SELECT number, name, digest FROM schema_migrations ORDER BY number
