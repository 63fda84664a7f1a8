SELECT admit_user_v1($1, $2)
