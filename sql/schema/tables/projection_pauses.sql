-- Followed projections that nobody advances until they are resumed.
CREATE TABLE projection_pauses (
    name text NOT NULL,
    paused_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT projection_pauses_pkey PRIMARY KEY (name)
);
