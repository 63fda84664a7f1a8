SELECT EXISTS (SELECT FROM analysts WHERE role_name = $1)
