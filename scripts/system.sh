#!/bin/sh
# Installs LibreOffice Impress and fonts when they are missing and we may; else says the command.
# Never fails: without them the product runs, and `make doctor` says what it cannot do.
packages=""
command -v soffice >/dev/null 2>&1 || packages="libreoffice-impress"
command -v fc-list >/dev/null 2>&1 || packages="$packages fontconfig"
has_font() { command -v fc-list >/dev/null 2>&1 && fc-list "$1" family 2>/dev/null | grep -q .; }
has_font ":lang=zh" || packages="$packages fonts-noto-cjk"
has_font "Noto Sans" || packages="$packages fonts-noto-core"
has_font "Liberation Sans" || packages="$packages fonts-liberation"
# Of the same widths as Calibri and Cambria, which most decks ask for.
has_font "Carlito" || packages="$packages fonts-crosextra-carlito fonts-crosextra-caladea"
# More by name, where the program is called as its package: `system.sh chromium`.
for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 || packages="$packages $name"
done
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing: $packages. Install them with your system's package tool."
    exit 0
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        echo "Missing: $packages. To render office files as they look, run:"
        echo "  sudo apt-get install --no-install-recommends $packages"
        exit 0
    fi
fi
echo "Installing $packages"
# Split on purpose: words of one command.
# shellcheck disable=SC2086
if ! { $sudo apt-get -qq update && $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends $packages; } >/dev/null; then
    echo "That failed; going on without: $packages"
fi
exit 0
