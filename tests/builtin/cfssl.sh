#!/bin/sh
# Starts a CA that signs for nodes by mutual TLS: $1 is where it listens, $2 the CA whose nodes may ask.
set -e
apt-get install -y -qq --no-install-recommends golang-cfssl openssl >&2
systemctl stop cfssl 2>/dev/null || true
umask 077; mkdir -p /srv/outside; cd /srv/outside
new='-newkey ec -nodes -pkeyopt ec_paramgen_curve:prime256v1'
openssl req -x509 $new -days 999 -subj /CN=outside -keyout key -out cert
openssl req $new -subj /CN=signer -keyout tls-key -out tls-csr
printf 'subjectAltName=IP:%s\nextendedKeyUsage=serverAuth\n' "$1" > extensions
openssl x509 -req -in tls-csr -CA cert -CAkey key -CAcreateserial -days 9 -extfile extensions \
    -out tls-cert
{ printf '%s\n' "$2"; cat cert; } > clients
cat > config.json <<'END'
{"signing": {
  "default": {"expiry": "2160h",
    "usages": ["signing", "key encipherment", "server auth", "client auth"]},
  "profiles": {"CA": {"expiry": "43800h", "usages": ["cert sign", "crl sign"],
    "ca_constraint": {"is_ca": true}, "allowed_extensions": ["2.5.29.19"]}}}}
END
systemd-run --unit=cfssl --working-directory=/srv/outside cfssl serve -address "$1" -port 8888 \
    -ca cert -ca-key key -config config.json -tls-cert tls-cert -tls-key tls-key \
    -mutual-tls-ca clients
