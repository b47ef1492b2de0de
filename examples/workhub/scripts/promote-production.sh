#!/bin/sh
# What serves in staging, to production: the same images.
set -eu
cd "$(dirname "$0")/.."
exec seatrial promote --wait "$@"
