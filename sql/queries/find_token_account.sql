SELECT find_token_account_v1($1)
