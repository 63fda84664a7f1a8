-- The logins of analysts that were made for this database.
CREATE TABLE analysts (
    role_name name NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT analysts_pkey PRIMARY KEY (role_name)
);
