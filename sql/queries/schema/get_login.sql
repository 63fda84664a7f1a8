SELECT quote_ident(session_user)
