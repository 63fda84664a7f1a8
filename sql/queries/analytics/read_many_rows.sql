SELECT set_config('enable_bitmapscan', 'on', true)
