"""A PostgreSQL of our own, for when no `DATABASE_URL` is given (POSIX only).

Read `cluster.py` first: who uses the server and when it stops. Below it: `postgres_server.py`
starts and stops it, `initdb.py` makes its data, `postmaster.py` finds out whether it runs,
`data_location.py` decides where its files live and as whom it runs, `socket_folder.py` where it
listens, `data_files.py` reads what that user has made, `binaries.py` finds its programs.
"""

from service.embedded_postgres.cluster import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
