-- EXCLUSIVE waits for appends under way and blocks new ones; reads continue.
LOCK TABLE log_heads IN EXCLUSIVE MODE
