DELETE FROM projection_pauses WHERE name = $1 RETURNING name
