#!/bin/sh
# A command in any language, locked for as long as it lives; and a second one that is refused.
set -eu
bindlock run command.sock -- sh -c '
	echo "the server runs"
	bindlock run command.sock -- echo "never printed" 2>/dev/null || echo "a second one: status $?"
'
bindlock status command.sock
