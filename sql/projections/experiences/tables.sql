CREATE TABLE experiences (
    account_id           bigint NOT NULL,
    experience_id        bigint NOT NULL,
    course_id            bigint NOT NULL,
    version              bigint NOT NULL,
    title                text NOT NULL,
    description          text NOT NULL,
    facts                text NOT NULL,
    learning_objective   text NOT NULL,
    pedagogical_guidance text NOT NULL,
    workflow_state       text NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    PRIMARY KEY (account_id, experience_id)
);
CREATE INDEX ON experiences (account_id, course_id, experience_id)
 WHERE course_id IS NOT NULL;
COMMENT ON COLUMN experiences.version IS 'Revision of the experience''s stream that made its texts.';
COMMENT ON COLUMN experiences.learning_objective IS 'One objective a line.';
