-- EXCLUSIVE waits for every append that has begun and lets none begin; reading goes on.
LOCK TABLE log_heads IN EXCLUSIVE MODE
