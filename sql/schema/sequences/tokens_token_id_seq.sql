CREATE SEQUENCE tokens_token_id_seq;
