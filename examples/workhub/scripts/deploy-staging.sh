#!/bin/sh
# Pull, build, deploy to staging. Seatrial does the work; so that old habits find it.
set -eu
cd "$(dirname "$0")/.."
git pull --quiet --ff-only
exec seatrial deploy stg --wait "$@"
