-- Frees the space of delivered notifications in the server's queue; the result, how full the queue
-- is, is not used. A full queue stays full until this is called.
SELECT pg_notification_queue_usage()
