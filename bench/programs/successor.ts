/**
 * A server that waits for its address: `successor.js WAIT ADDRESS`. Reports when it listens, in nanoseconds of
 * CLOCK_MONOTONIC, and answers each client with its pid.
 */
import {createServer} from 'node:net';
import {type Wait, type WaitName, waits} from '../harness/waits.js';

const [, , name, address = ''] = process.argv;
const wait: Wait = waits[name as WaitName];
const say = (event: string, at = ''): void => console.log(JSON.stringify({event, at}));

let at = 0n;
const note = (): void => {
	at = process.hrtime.bigint();
};
// The first call compiles the clock's code, which is not part of the measurement.
note();
const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
server.on('listening', note);
process.stdin.resume().on('end', () => process.exit(0));
say('waiting');
// An argument cannot contain the NUL with which an abstract name begins.
await wait.serve(server, wait.abstract ? `\0${address}` : address);
say('serving', String(at));
