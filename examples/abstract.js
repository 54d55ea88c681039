/** Locks an abstract name: it has no file and is never stale. The lock is the same in all versions of Node. */
import {createServer} from 'node:net';
import {listen} from 'bindlock';

const name = `\0bindlock-example-${process.pid}`;
const lock = await listen(createServer(), name);
const refused = await listen(createServer(), name).catch(error => error);
console.log(lock.held, refused.code);
await lock.release();
