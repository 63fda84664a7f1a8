-- What checkpoints call the log; null before its first one.
SELECT log_origin_v1($1)
