#!/bin/sh
# PostgreSQL runs this once, on an empty volume: the portal's database, and its owner, who is no superuser.
set -eu
psql --no-psqlrc --username postgres --set ON_ERROR_STOP=1 --set password="$(cat /run/secrets/portal_password)" <<'SQL'
CREATE ROLE portal LOGIN PASSWORD :'password';
CREATE DATABASE portal OWNER portal;
SQL
