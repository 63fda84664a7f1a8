SELECT name, generation, version, digest, mode, state, schema_name, tables
  FROM projections
 ORDER BY name, generation
