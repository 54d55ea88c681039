/**
 * A service manager in Python, which binds sockets and starts a program with them, as systemd does for a `.socket` unit
 * (sd_listen_fds(3)). A program that is killed is started again.
 */
import type {ExecutionContext} from 'ava';
import {python} from './abilities.js';
import {type Program, type StartOptions, startCommand} from './programs.js';

export interface ActivatorOptions extends StartOptions {
	/** `'bound'`: the sockets do not listen. `'file'`: the descriptors are files. `'other'`: LISTEN_PID is wrong. */
	readonly defect?: 'bound' | 'file' | 'other';
}

const script = `
import os, signal, socket, sys
defect, count, *rest = sys.argv[1:]
names, command = rest[:int(count)], rest[int(count):]
passed = []
for name in names:
    server = socket.socket(socket.AF_UNIX)
    server.bind('\\0' + name[1:] if name.startswith('@') else name)
    if defect != 'bound': server.listen(64)
    passed.append(open('/dev/zero') if defect == 'file' else server)
while True:
    child = os.fork()
    if child == 0:
        copies = [os.dup2(each.fileno(), 100 + at) for at, each in enumerate(passed)]
        for at, copy in enumerate(copies): os.dup2(copy, 3 + at)
        os.closerange(3 + len(copies), 200)
        pid = os.getppid() if defect == 'other' else os.getpid()
        os.environ.update(LISTEN_FDS=str(len(copies)), LISTEN_PID=str(pid))
        os.execvp(command[0], command)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL: sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

/**
 * Starts a program with sockets.
 *
 * @param names paths, or abstract names with `@`
 */
export function activate(
	t: ExecutionContext,
	names: readonly string[],
	command: readonly string[],
	{defect, ...options}: ActivatorOptions = {},
): Program {
	return startCommand(t, python, ['-c', script, defect ?? '', String(names.length), ...names, ...command], options);
}
