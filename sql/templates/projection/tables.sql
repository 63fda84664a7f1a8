-- Every table begins its primary key with account_id, and has the position of the last event that
-- changed the row. Texts of learners and their names are out of reach here.
CREATE TABLE NAME (
    account_id bigint NOT NULL,
    course_id  bigint NOT NULL,
    hour       timestamptz NOT NULL,
    messages   bigint NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (account_id, course_id, hour)
);
COMMENT ON TABLE NAME IS 'One row a course and hour in which a learner wrote.';
COMMENT ON COLUMN NAME.account_id IS 'The institution.';
COMMENT ON COLUMN NAME.course_id IS 'The course.';
COMMENT ON COLUMN NAME.hour IS 'Beginning of the hour (UTC).';
COMMENT ON COLUMN NAME.messages IS 'Messages that learners sent.';
COMMENT ON COLUMN NAME.position IS 'Position of the last event that changed the row.';
