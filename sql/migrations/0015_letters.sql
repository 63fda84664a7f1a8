-- Anybody who may connect may notify any channel whose name they know. Those who know this one can
-- have turns stopped and learners forgotten, so its name is for the service alone.
CREATE TABLE letter_channel (
    name text NOT NULL
);
CREATE UNIQUE INDEX letter_channel_one ON letter_channel ((true));
COMMENT ON TABLE letter_channel IS 'The channel over which processes tell each other what to do; one row.';
INSERT INTO letter_channel (name)
VALUES ('colloquy_letters_' || replace(gen_random_uuid()::text, '-', ''));
GRANT SELECT ON letter_channel TO colloquy_service;
