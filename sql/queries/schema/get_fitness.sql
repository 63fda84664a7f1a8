-- Whether a database is one that migrations can be applied to.
SELECT current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
       current_setting('transaction_read_only')::boolean AS read_only
