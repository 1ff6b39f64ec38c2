#!/bin/sh
# Makes the secrets of deploy/compose.yml, once, in deploy/secrets: `sudo deploy/secrets.sh`. Each file belongs to the user
# of the container that reads it (10001 is the product, 999 PostgreSQL) and nobody else may read it. What is there stays.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 711 secrets
if [ -e secrets/pgpass ]; then
  echo "deploy/secrets holds secrets already; they are kept."
  exit 0
fi
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" > secrets/postgres_password
# libpq reads this file (PGPASSFILE), so no address and no environment holds the password.
printf '*:5432:*:chimp:%s\n' "$password" > secrets/pgpass
chmod 400 secrets/postgres_password secrets/pgpass
chown 999:999 secrets/postgres_password
chown 10001:10001 secrets/pgpass
echo "Made deploy/secrets/postgres_password and deploy/secrets/pgpass."
