#!/bin/sh
# `agent ARGS` gets the two standard folders, other sub-commands run as they are.
set -e
case "$1" in
    agent) shift; exec consul agent -data-dir=/consul/data -config-dir=/consul/config "$@" ;;
    consul|sh|/*) exec "$@" ;;
    *) exec consul "$@" ;;
esac
