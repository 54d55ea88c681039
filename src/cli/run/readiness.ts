/**
 * How a process of `bindlock run --listen` reports that it is ready.
 */
import type {Readable} from 'node:stream';
import {pause} from '../../kernel/deadline.js';

/**
 * Resolves when the process has written a newline to the pipe, as s6 wants it; without a pipe, when it has lived for some
 * time. READY=1 of sd_notify(3) is a datagram on a Unix socket, which Node cannot receive.
 */
export function untilReady(pipe: Readable | undefined, aliveMs: number): Promise<unknown> {
	if (pipe === undefined) return pause(aliveMs);
	return new Promise<void>(resolve => {
		pipe
			// A newline is reported once. Later output is read, so that it does not block the command.
			.on('data', (chunk: Buffer) => {
				if (chunk.includes('\n')) resolve();
			})
			.on('error', () => {});
	});
}
