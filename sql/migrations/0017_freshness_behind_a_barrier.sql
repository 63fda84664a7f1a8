-- The view reads with its owner's rights. Whoever asks brings conditions of their own, which must
-- not see a row before the view has left out the accounts that are none of theirs.
ALTER VIEW analytics.freshness SET (security_barrier = true);
