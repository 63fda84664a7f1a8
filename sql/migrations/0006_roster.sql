CREATE TABLE courses (
    account_id bigint NOT NULL REFERENCES accounts,
    course_id  bigint NOT NULL,
    PRIMARY KEY (account_id, course_id)
);

CREATE TABLE users (
    account_id bigint NOT NULL REFERENCES accounts,
    user_id    bigint NOT NULL,
    name       text NOT NULL,
    PRIMARY KEY (account_id, user_id)
);

CREATE TABLE enrollments (
    account_id bigint NOT NULL,
    course_id  bigint NOT NULL,
    user_id    bigint NOT NULL,
    role       text NOT NULL CHECK (role IN ('learner', 'observer', 'teacher', 'ta', 'designer')),
    status     text NOT NULL CHECK (status IN ('active', 'invited', 'inactive', 'completed', 'deleted')),
    PRIMARY KEY (account_id, course_id, user_id),
    FOREIGN KEY (account_id, course_id) REFERENCES courses,
    FOREIGN KEY (account_id, user_id) REFERENCES users
);
COMMENT ON TABLE enrollments IS 'Who belongs to a course; only status active counts as a member.';

CREATE TABLE tokens (
    token_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    user_id    bigint NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    FOREIGN KEY (account_id, user_id) REFERENCES users
);
CREATE INDEX tokens_user ON tokens (account_id, user_id);
COMMENT ON COLUMN tokens.token_hash IS 'SHA-256 of the token; the token itself is not kept.';
COMMENT ON COLUMN tokens.scopes IS 'Empty: all that the user may do. Else only these.';

GRANT SELECT ON courses, users, enrollments, tokens TO colloquy_service;
