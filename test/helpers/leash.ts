/**
 * Programs that start successors of themselves. The standard input of the first process ends with that process, so all
 * generations connect to a socket of the test, the leash, and end with that connection.
 */
import {createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {type Event, type Program, type StartOptions, start, temporaryDirectory} from './programs.js';

/** Starts a program of test/fixtures, whose first argument is the leash. */
export function startLeashed(
	t: ExecutionContext,
	fixture: string,
	args: readonly string[],
	options: StartOptions = {},
): Program {
	return withLeash(t, leash => start(t, fixture, [leash, ...args], options));
}

/** Starts a program, of which all processes connect to the leash. */
export function withLeash(t: ExecutionContext, startProgram: (leash: string) => Program): Program {
	const leash = join(temporaryDirectory(t), 'leash');
	const connections = new Set<Socket>();
	const server = createServer(connection => connections.add(connection.on('error', () => {}))).listen(leash);
	const program = startProgram(leash);
	// Teardowns run in reverse order: the kill of `start` would wait for the successors, which have its standard output.
	t.teardown(async () => {
		for (const connection of connections) connection.destroy();
		server.close();
		await program.exited;
	});
	return program;
}

/** Returns the next event of this kind, and skips the events of other generations. */
export async function heard(program: Program, event: string): Promise<Event> {
	for (;;) {
		const next = await program.next();
		if (next.event === event) return next;
	}
}
