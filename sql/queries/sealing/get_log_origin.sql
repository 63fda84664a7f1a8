-- The log's name in its checkpoints; null before the first one.
SELECT log_origin_v1($1)
