/**
 * Makes sockets that Node cannot make, with python3; see `noPython`.
 */
import {linkSync, renameSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import type {ExecutionContext} from 'ava';
import {python} from './abilities.js';
import {type Program, type StartOptions, startCommand} from './programs.js';

export type SocketKind =
	/** A stream socket after bind and before listen. */
	| 'bound'
	/** A datagram socket. */
	| 'datagram'
	/** A listening seqpacket socket. */
	| 'seqpacket'
	/** A listening stream socket with a full backlog, which never accepts. */
	| 'full';

const script = `
import json, os, socket, sys
kind, path, elsewhere, root, jail = sys.argv[1:]
if root: os.chroot(root)
types = {'datagram': socket.SOCK_DGRAM, 'seqpacket': socket.SOCK_SEQPACKET}
server = socket.socket(socket.AF_UNIX, types.get(kind, socket.SOCK_STREAM))
server.bind(path)
if kind == 'seqpacket': server.listen(1)
waiting = []
if kind == 'full':
    server.listen(30)
    try:
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.setblocking(False)
            waiting.append(client)
            client.connect(path)
    except BlockingIOError:
        pass
if elsewhere: os.chdir(elsewhere)
if jail: os.chroot(jail)
print(json.dumps({'event': 'ready', 'pid': os.getpid()}), flush=True)
sys.stdin.read()
`;

/**
 * Starts a process with such a socket at the path, until the test ends. After the bind, `chdir` changes its directory
 * and `jail` its root. With `chroot` the path is relative to that root.
 */
export async function startSocket(
	t: ExecutionContext,
	kind: SocketKind,
	path: string,
	options: StartOptions & {readonly chdir?: string; readonly chroot?: string; readonly jail?: string} = {},
): Promise<Program> {
	const program = startCommand(
		t,
		python,
		['-c', script, kind, path, options.chdir ?? '', options.chroot ?? '', options.jail ?? ''],
		options,
	);
	await program.expect('ready');
	return program;
}

/** Creates a stale socket synchronously. */
export function makeStaleSync(path: string): void {
	const server = createServer().listen(path);
	linkSync(path, `${path}.kept`);
	server.close();
	renameSync(`${path}.kept`, path);
}

/** Starts a server without a lock in this process. It is bound when this returns. */
export function serveNaively(t: ExecutionContext, path: string): Server {
	const server = createServer(socket => socket.on('error', () => {}).end('naive')).listen(path);
	t.teardown(() => server.close());
	return server;
}
