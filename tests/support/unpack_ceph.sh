#!/bin/sh
# Unpacks Ceph's servers from Debian's packages into a folder, without root and without installing anything.
set -eu
folder=$1
rm -rf "$folder"
mkdir -p "$folder/packages" "$folder/root"
cd "$folder/packages"
packages=$(apt-get --simulate install --no-install-recommends ceph-mon ceph-mgr ceph-osd radosgw \
    | sed -n 's/^Inst \([^ ]*\).*/\1/p')
# shellcheck disable=SC2086  # a name each
apt-get --quiet --quiet download $packages
for package in *.deb; do
    dpkg-deb --extract "$package" ../root
done
cd ..
rm -rf packages
test -x root/usr/bin/radosgw
touch .made
