SELECT name, generation, version, digest, mode, state, schema_name, tables, confined
  FROM projections
 ORDER BY name, generation
