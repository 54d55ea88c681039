/**
 * A server that waits for its address: `successor.js ADDRESS`. Says when it listens, in nanoseconds of
 * CLOCK_MONOTONIC, and answers every client with its pid.
 */
import {createServer} from 'node:net';
import {listen} from '../src/index.js';

const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
const say = (event: string, at = ''): void => console.log(JSON.stringify({event, at}));
let at = 0n;
server.on('listening', () => {
	at = process.hrtime.bigint();
});
await listen(server, process.argv[2] ?? '', {waitMs: Number.POSITIVE_INFINITY, onWait: () => say('waiting')});
say('serving', String(at));
