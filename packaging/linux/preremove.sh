#!/bin/sh
set -e
# On an upgrade a running node goes on as it is until somebody restarts it: in a cluster that is done one node at a time. The data
# in /var/lib/moldau stays in any case.
case "$1" in
  upgrade | 1) ;;
  *) [ ! -d /run/systemd/system ] || systemctl disable --now moldau.service || true ;;
esac
