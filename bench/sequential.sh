#!/bin/sh
# The peer: a preview made by hand, one step after the other, as a shell script would do it.
# usage: sequential.sh REPOSITORY COMMIT FOLDER TEMPLATE DATABASE WEB_PORT API_PORT
# libpq's variables name the server. Prints the process ids of web and api when both answer.
set -eu

repository=$1 commit=$2 folder=$3 template=$4 database=$5 web_port=$6 api_port=$7

git -C "$repository" worktree add -q --detach "$folder" "$commit"
createdb -T "$template" "$database"
cd "$folder"
npm ci --prefer-offline --no-audit --no-fund >install.log 2>&1
export DATABASE_URL="postgresql://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$database"
node migrate.js
PORT=$web_port node server.js web >web.log 2>&1 &
web=$!
PORT=$api_port node server.js api >api.log 2>&1 &
api=$!
for port in "$web_port" "$api_port"; do
    until curl -fs -o /dev/null "http://127.0.0.1:$port/"; do
        sleep 0.01
    done
done
echo "$web $api"
