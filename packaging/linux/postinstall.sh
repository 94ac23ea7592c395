#!/bin/sh
set -e
getent group moldau >/dev/null || groupadd --system moldau
getent passwd moldau >/dev/null || useradd --system --gid moldau --home-dir /var/lib/moldau --no-create-home --shell /usr/sbin/nologin moldau
mkdir -p /var/lib/moldau
chown moldau:moldau /var/lib/moldau
if [ ! -e /var/lib/moldau/meta.properties ]; then
  id=$(/usr/bin/moldau kafka-storage random-uuid)
  /usr/bin/moldau kafka-storage format --cluster-id "$id" --config /etc/moldau/server.properties >/dev/null
  chown -R moldau:moldau /var/lib/moldau
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
