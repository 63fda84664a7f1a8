-- The channel over which processes tell each other what to do; one row.
CREATE TABLE letter_channel (
    name text NOT NULL
);
CREATE UNIQUE INDEX letter_channel_one ON public.letter_channel USING btree ((true));
