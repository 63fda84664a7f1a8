SELECT find_token_account_v2($1)
