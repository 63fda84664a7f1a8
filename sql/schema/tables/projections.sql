-- Every projection that is installed. A rebuild fills a new generation and then makes it live.
CREATE TABLE projections (
    name text NOT NULL,
    generation integer NOT NULL,
    version integer NOT NULL,
    digest bytea NOT NULL,
    mode text NOT NULL,
    description text NOT NULL,
    tables text[] NOT NULL,
    consumes text[] NOT NULL,
    readers text[] NOT NULL,
    schema_name text NOT NULL,
    state text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    stable_schema text DEFAULT 'read'::text NOT NULL,
    interface integer DEFAULT 0 NOT NULL,
    confined boolean DEFAULT false NOT NULL,
    typed boolean DEFAULT false NOT NULL,
    CONSTRAINT projections_schema_name_key UNIQUE (schema_name),
    CONSTRAINT projections_pkey PRIMARY KEY (name, generation),
    CONSTRAINT projections_mode_check CHECK ((mode = ANY (ARRAY['inline'::text, 'followed'::text]))),
    CONSTRAINT projections_state_check CHECK ((state = ANY (ARRAY['building'::text, 'live'::text])))
);
CREATE UNIQUE INDEX projections_live ON public.projections USING btree (name) WHERE (state = 'live'::text);
