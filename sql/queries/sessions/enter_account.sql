SELECT set_config('colloquy.account', $1, false)
