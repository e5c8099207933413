#!/bin/sh
# For those who cloned the repository: a double-click in Finder sets everything up and opens the chat. Finder runs
# it in a Terminal window, which closes GLM Chat when it is closed.
"$(dirname "$0")/scripts/run" "$@" && exit
echo
echo "GLM Chat ended with an error; the lines above say why. Press Return to close this window."
read -r _
exit 1
