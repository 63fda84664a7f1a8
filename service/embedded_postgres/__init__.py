"""The PostgreSQL that Colloquy runs when no `DATABASE_URL` is given (POSIX only).

`cluster.py` knows the server's users and stops it after the last one. Below it,
`postgres_server.py` starts and stops the server, `initdb.py` creates its data, `postmaster.py`
checks whether it runs, `data_location.py` chooses its folder and system user, `socket_folder.py`
its address, `data_files.py` reads that user's files, and `binaries.py` finds the programs.
"""

from service.embedded_postgres.cluster import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
