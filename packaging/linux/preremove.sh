#!/bin/sh
set -e
# An upgrade stops and starts the node itself; the data in /var/lib/moldau stays in any case.
case "$1" in
  upgrade | 1) ;;
  *) [ ! -d /run/systemd/system ] || systemctl disable --now moldau.service || true ;;
esac
