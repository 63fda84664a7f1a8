UPDATE projection_checkpoints SET error = NULL, error_position = NULL, error_at = NULL
 WHERE name = $1 AND error IS NOT NULL
