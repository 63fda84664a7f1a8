SELECT 1; -- Reserved for sealing.
