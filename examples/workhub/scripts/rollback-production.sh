#!/bin/sh
# Back to the release before; it is still warm.
set -eu
cd "$(dirname "$0")/.."
exec seatrial rollback prd --wait "$@"
