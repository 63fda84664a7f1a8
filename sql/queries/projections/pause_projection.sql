INSERT INTO projection_pauses (name) VALUES ($1)
    ON CONFLICT DO NOTHING
RETURNING name
