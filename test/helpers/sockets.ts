/**
 * Sockets that Node cannot make, made by python3; see `noPython`.
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
	/** A seqpacket socket that listens. */
	| 'seqpacket'
	/** A stream socket that listens, never accepts, and has as many connections waiting as it may have. */
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

/** A process that has such a socket bound to the path, until its test ends; with `chdir`, it has left its directory since; with `chroot`, the path is below that; with `jail`, that is its root since. */
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

/** Leaves a socket file behind that no process is bound to, before it returns. */
export function makeStaleSync(path: string): void {
	const server = createServer().listen(path);
	linkSync(path, `${path}.kept`);
	server.close();
	renameSync(`${path}.kept`, path);
}

/** A server that takes no lock; bound, in this process, when this returns. */
export function serveNaively(t: ExecutionContext, path: string): Server {
	const server = createServer(socket => socket.on('error', () => {}).end('naive')).listen(path);
	t.teardown(() => server.close());
	return server;
}
