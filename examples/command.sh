#!/bin/sh
# Runs a command under the lock of an address. A second command is refused meanwhile.
set -eu
bindlock run command.sock -- sh -c '
	echo "the server runs"
	bindlock run command.sock -- echo "never printed" 2>/dev/null || echo "a second one: status $?"
'
bindlock status command.sock
