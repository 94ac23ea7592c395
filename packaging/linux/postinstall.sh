#!/bin/sh
set -e
getent group moldau >/dev/null || groupadd --system moldau
getent passwd moldau >/dev/null || useradd --system --gid moldau --home-dir /var/lib/moldau --no-create-home --shell /usr/sbin/nologin moldau
mkdir -p /var/lib/moldau
chown moldau:moldau /var/lib/moldau
# Only the first installation formats (dpkg: configure without an older version, rpm: 1): on an upgrade the settings are the
# operator's, and so are the directories that they name.
case "$1:$2" in
  configure: | 1:)
    if [ ! -e /var/lib/moldau/meta.properties ]; then
      id=$(/usr/bin/moldau kafka-storage random-uuid)
      /usr/bin/moldau kafka-storage format --cluster-id "$id" --config /etc/moldau/server.properties >/dev/null
      chown -R moldau:moldau /var/lib/moldau
    fi
    ;;
esac
[ ! -d /run/systemd/system ] || systemctl daemon-reload
