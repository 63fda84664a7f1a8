-- Frees what every listener has taken of the server's queue; that it tells how full the queue is, is
-- beside the point. A queue that was full stays so until somebody asks.
SELECT pg_notification_queue_usage()
